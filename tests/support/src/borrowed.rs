//! Programs of Debian's packages in a lab, whose roots have none of them.

use std::process;

use anyhow::{Result, ensure};

use crate::directory::cache;
use crate::lab::Lab;

// === impl Lab ===

impl Lab {
    /// Gives it the `nft` of `provision-nft`, with the libraries that it wants beside those of the lab's root.
    ///
    /// # Errors
    ///
    /// When `provision-nft` has not been run.
    pub fn install_nft(&self) -> Result<()> {
        self.unpack("nft")?;
        self.wrap("/usr/sbin/nft", "/opt/nft")
    }

    /// Gives it what `dockerd-rootless.sh` takes, of `provision-rootless`.
    ///
    /// # Errors
    ///
    /// When `provision-rootless` has not been run.
    pub fn install_rootless_extras(&self) -> Result<()> {
        self.unpack("rootless")?;
        // Set-user-ID programs are given no libraries by their caller, and need none that the root lacks.
        let script =
            "cd /opt/rootless/usr/bin && cp -a newuidmap newgidmap rootlesskit rootlesskit-docker-proxy /usr/bin/ &&
            mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200";
        self.run("sh", &["-c", script])?.expect_success()?;
        self.wrap("/usr/bin/slirp4netns", "/opt/rootless")
    }

    /// Puts what was unpacked as `name` below `/opt`.
    fn unpack(&self, name: &str) -> Result<()> {
        let tools = cache()?.join("tools").join(name);
        let copied = process::Command::new("cp")
            .arg("-a")
            .arg(&tools)
            .arg(self.path("/opt"))
            .status()?;
        ensure!(
            copied.success(),
            "there is no `{}`: run tests/support/provision-{name}",
            tools.display()
        );
        Ok(())
    }

    /// Has the program below `place` find the libraries there.
    fn wrap(&self, program: &str, place: &str) -> Result<()> {
        let text = format!(
            "#!/bin/sh\nLD_LIBRARY_PATH=$(echo {place}/usr/lib/*-linux-gnu) exec {place}{program} \"$@\"\n"
        );
        self.write_file(program, text)?;
        self.run("chmod", &["+x", program])?.expect_success()?;
        Ok(())
    }
}
