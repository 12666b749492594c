//! The program `nft` in a lab, whose roots have none.

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
        let tools = cache()?.join("tools/nft");
        let copied = process::Command::new("cp")
            .arg("-a")
            .arg(&tools)
            .arg(self.path("/opt"))
            .status()?;
        ensure!(
            copied.success(),
            "there is no `{}`: run tests/support/provision-nft",
            tools.display()
        );
        self.write_file(NFT, WRAPPER)?;
        self.run("chmod", &["+x", NFT])?.expect_success()?;
        Ok(())
    }
}

const NFT: &str = "/usr/sbin/nft";
const WRAPPER: &str = "#!/bin/sh
LD_LIBRARY_PATH=$(echo /opt/nft/usr/lib/*-linux-gnu) exec /opt/nft/usr/sbin/nft \"$@\"
";
