//! What is tried, in this order: rules are in force from the first trial on, and out of it from the last.

use std::time::Duration;

use anyhow::{Result, ensure};
use ramgate_lab::{Lab, hello};
use serde_json::json;

use crate::clients;
use crate::world::{CURL, TRUST, World, policy, settings};

pub(crate) type Trial = (&'static str, fn(&World) -> Result<()>);

pub(crate) const TRIALS: &[Trial] = &[
    ("rules_come_whole_and_leave_nothing", rules),
    ("registries_are_judged_as_by_connect", registries),
    ("plain_http_is_judged_request_by_request", plain),
    ("names_lead_where_the_gate_resolves_them", names),
    ("what_has_no_readable_name_is_refused", nameless),
    ("quic_is_refused", quic),
    ("ipv6_is_captured_too", ipv6),
    ("egress_containers_decides_about_the_rest", rest),
    ("nobody_asks_the_listener_directly", direct),
    ("inspection_reads_what_containers_pull", inspected),
    ("podman_pulls_what_it_may", clients::podman),
    ("containerd_pulls_what_it_may", clients::containerd),
    (
        "docker_in_docker_pulls_and_builds_with_what_it_may",
        clients::docker,
    ),
    ("an_identity_is_required_of_containers_too", identity),
    ("a_container_of_an_engine_is_captured", container),
    ("the_hosts_own_programs_are_captured_if_asked", host),
    ("without_ramgate_nothing_passes", down),
];

/// The way is open without rules; then they are applied, twice, and listed; removed, twice, the firewall is as it was.
fn rules(world: &World) -> Result<()> {
    let (lab, nft) = (&world.lab, |arguments: &[&str]| world.nft(arguments));
    world
        .skopeo("docker.io/evil/tool:latest")?
        .expect_success()?;
    ensure!(lab.docker_hub().connections() > 0, "the way was not open");
    let datagram = ["-c", "echo x >/dev/udp/203.0.113.11/443"];
    world.inside("bash").args(datagram).run()?;
    ensure!(world.datagrams()? == 1, "datagrams have no way to be seen");

    let list = || -> Result<String> {
        Ok(lab
            .run("nft", &["list", "ruleset"])?
            .expect_success()?
            .stdout)
    };
    let before = list()?;
    nft(&["remove"])?.expect_success()?;
    nft(&["show", "--in-force"])?.expect_failure("no rules are in force")?;
    let shown = nft(&["show"])?.expect_success()?.stdout;
    ensure!(
        nft(&["apply", "--dry-run"])?.expect_success()?.stdout == shown,
        "{shown}"
    );
    ensure!(list()? == before, "showing changed something");
    nft(&["apply"])?.expect_success()?;
    let applied = list()?;
    ensure!(applied.contains("redirect to :5054"), "{applied}");
    nft(&["apply"])?.expect_success()?;
    ensure!(list()? == applied, "twice is not once:\n{}", list()?);
    nft(&["remove"])?.expect_success()?;
    ensure!(list()? == before, "something is left:\n{}", list()?);
    nft(&["remove"])?.expect_success()?;
    nft(&["apply"])?.expect_success()?;
    let nobody = lab
        .command("setpriv")
        .args(["--reuid=1234", "--clear-groups"]);
    let nobody = nobody.args(["/usr/local/bin/ramgate", "egress", "nft", "apply"]);
    nobody.run()?.expect_failure("run it as root")?;
    Ok(())
}

/// A listed registry passes; Docker Hub, which the mirror carries, is closed, and hears nothing of it.
fn registries(world: &World) -> Result<()> {
    world.skopeo("ghcr.io/acme/app:1")?.expect_success()?;
    ensure!(world.lab.ghcr().connections() > 0, "ghcr.io was not asked");
    for image in ["docker.io/library/alpine:3", "docker.io/evil/tool:latest"] {
        world.skopeo(image)?.expect_failure("access denied")?;
    }
    world.untouched(world.lab.docker_hub())?;
    let log = world.lab.read_file(AUDIT)?;
    let noted = log.lines().any(|line| {
        line.contains("\"docker-hub-only-by-mirror\"") && line.contains("\"172.30.0.2\"")
    });
    ensure!(noted, "the audit log has no line of it:\n{log}");
    Ok(())
}

fn plain(world: &World) -> Result<()> {
    let curl = |arguments: &[&str]| world.curl(arguments);
    let body = curl(&[
        "http://files.example/hello.txt",
        "http://files.example/hello.txt",
    ])?;
    ensure!(
        body.stdout.matches("hello from files").count() == 2,
        "{body}"
    );
    let denied = curl(&["http://registry-1.docker.io/v2/"])?;
    ensure!(
        denied.stdout.contains("restricted by your administrators"),
        "{denied}"
    );
    // Whatever the address, and within a connection that was open for another host.
    let mixed = curl(&[
        "http://files.example/hello.txt",
        "--next",
        "--header",
        "Host: ghcr.io",
        "http://files.example/v2/",
    ])?;
    ensure!(mixed.stdout.contains("Access to ghcr.io"), "{mixed}");
    let through = [
        "--proxytunnel",
        "--proxy",
        "http://files.example:80",
        "https://ghcr.io/v2/",
    ];
    curl(&through)?.expect_failure("400")?;
    let twice = b"GET / HTTP/1.1\r\nHost: files.example\r\nHost: ghcr.io\r\n\r\n";
    let answer = world.send("203.0.113.13", "80", twice)?;
    ensure!(answer.starts_with(&hex("HTTP/1.1 400")), "{answer}");
    let answer = world.send("203.0.113.13", "80", b"SSH-2.0-other\r\n")?;
    ensure!(!answer.contains(&hex("hello")), "{answer}");
    world.untouched(world.lab.docker_hub())?;
    world.untouched(world.lab.ghcr())
}

/// A hosts file, a lying server name, somebody's DNS: nothing leads to a closed registry.
fn names(world: &World) -> Result<()> {
    let hub = "203.0.113.10";
    let curl = |arguments: &[&str]| world.curl(arguments);
    let lie = format!("files.example:443:{hub}");
    let got = curl(&["--resolve", &lie, "https://files.example/hello.txt"])?;
    ensure!(got.stdout == "hello from files.example\n", "{got}");
    let lie = format!("denied.example:443:{hub}");
    let fronted = [
        "--insecure",
        "--resolve",
        &lie,
        "--header",
        "Host: registry-1.docker.io",
    ];
    curl(&[&fronted[..], &["https://denied.example/v2/"]].concat())?;
    let unknown = format!("unknown.example:443:{hub}");
    curl(&[
        "--insecure",
        "--resolve",
        &unknown,
        "https://unknown.example/v2/",
    ])?
    .expect_failure("")?;
    curl(&["--insecure", "https://alias.example/v2/"])?.expect_failure("access denied")?;
    let answer = curl(&["http://alias.example/v2/"])?.stdout;
    ensure!(answer.contains("leads to an address of"), "{answer}");
    curl(&["--insecure", "https://inner.example/hello.txt"])?.expect_failure("access denied")?;
    let upper = format!("REGISTRY-1.docker.io:443:{hub}");
    curl(&[
        "--insecure",
        "--resolve",
        &upper,
        "https://REGISTRY-1.docker.io/v2/",
    ])?
    .expect_failure("access denied")?;
    world.untouched(world.lab.docker_hub())
}

fn nameless(world: &World) -> Result<()> {
    for url in [
        "https://203.0.113.10/v2/",
        "https://203.0.113.12/",
        "https://203.0.113.13/",
    ] {
        world
            .curl(&["--insecure", url])?
            .expect_failure("access denied")?;
    }
    let refused = world.send("203.0.113.13", "443", &hello(&[], false))?;
    ensure!(refused == DENIED, "no server name: {refused}");
    let refused = world.send("203.0.113.12", "443", &hello(&[b"denied.example"], true))?;
    ensure!(refused == DENIED, "ECH: {refused}");
    let refused = world.send("203.0.113.11", "443", &hello(&[b"ghcr.io"], true))?;
    ensure!(refused == DENIED, "ECH to a registry: {refused}");
    // In two segments, and with what is no host's name.
    let refused = world.send("203.0.113.10", "443", &hello(&[b"203.0.113.10"], false))?;
    ensure!(refused == DENIED, "an address as a name: {refused}");
    let refused = world.send("203.0.113.10", "443", &hello(&[b"a b"], false))?;
    ensure!(refused == UNREADABLE, "no name: {refused}");
    world.untouched(world.lab.docker_hub())
}

fn quic(world: &World) -> Result<()> {
    let before = world.datagrams()?;
    for address in ["203.0.113.10", "203.0.113.12"] {
        let datagram = format!("echo x >/dev/udp/{address}/443");
        world.inside("bash").args(["-c", &datagram]).run()?;
    }
    ensure!(world.datagrams()? == before, "a datagram got through");
    Ok(())
}

fn ipv6(world: &World) -> Result<()> {
    let to = |host: &str| format!("{host}:443:[2001:db8::1]");
    let allowed = world.curl(&[
        "--resolve",
        &to("files.example"),
        "https://files.example/hello.txt",
    ])?;
    ensure!(allowed.stdout == "hello from files.example\n", "{allowed}");
    let denied = [
        "--resolve",
        &to("index.docker.io"),
        "https://index.docker.io/v2/",
    ];
    world.curl(&denied)?.expect_failure("access denied")?;
    world
        .curl(&["--insecure", "https://[2001:db8::1]/v2/"])?
        .expect_failure("access denied")?;
    world.untouched(world.lab.docker_hub())
}

fn rest(world: &World) -> Result<()> {
    let denied_host = || world.curl(&["https://denied.example/hello.txt"]);
    denied_host()?.expect_success()?;
    world.policy(&policy("deny"))?;
    denied_host()?.expect_failure("access denied")?;
    world
        .curl(&["https://files.example/hello.txt"])?
        .expect_success()?;
    world.skopeo("ghcr.io/acme/app:1")?.expect_success()?;
    world.policy(&policy("pass"))?;
    denied_host()?.expect_success()?;
    Ok(())
}

fn direct(world: &World) -> Result<()> {
    let url = "http://172.30.0.1:5054/hello.txt";
    world
        .curl(&["--header", "Host: files.example", url])?
        .expect_failure("connect to server")?;
    world.untouched(world.lab.files_host())
}

/// By repository and category, with the authority that the container's clients trust.
fn inspected(world: &World) -> Result<()> {
    let lab = &world.lab;
    world.ramgate(&["egress", "ca", "init"])?.expect_success()?;
    let authority = world.ramgate(&["egress", "ca", "show"])?.expect_success()?;
    let ours = lab.read_file(Lab::CA_FILE)?;
    world.trust(&format!("{ours}\n{}", authority.stdout))?;
    lab.stop_ramgate()?;
    lab.write_settings(&settings(true))?;
    lab.start_ramgate()?;
    clients::skopeo(world)?;
    // In the container's name, what passed and what did not.
    let log = lab.read_file(AUDIT)?;
    let of_inspection: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("\"gate\":\"inspect\""))
        .collect();
    for words in ["\"acme/app\"", "\"other/thing\"", "\"evil/tool\""] {
        let noted = of_inspection.iter().any(|line| line.contains(words));
        ensure!(noted, "{words} is not in the audit log:\n{log}");
    }
    for line in of_inspection {
        ensure!(
            line.contains("\"principal\":\"172.30.0.2\""),
            "another's: {line}"
        );
    }
    Ok(())
}

/// Nobody has asked for whom a container pulls, as the engine gate asks those for whom the daemon does.
fn identity(world: &World) -> Result<()> {
    let mut strict = policy("pass");
    if let Some(policy) = strict.as_object_mut() {
        policy.insert("subjects".to_owned(), json!({ "require-identity": true }));
    }
    world.policy(&strict)?;
    world.begin();
    let result = (|| {
        for image in ["ghcr.io/acme/app:1", "docker.io/library/alpine:3"] {
            world.skopeo(image)?.expect_failure("access denied")?;
        }
        world.untouched(world.lab.ghcr())?;
        world.untouched(world.lab.docker_hub())?;
        let log = world.lab.read_file(AUDIT)?;
        ensure!(
            log.contains("\"identity-required\""),
            "not for that:\n{log}"
        );
        world
            .curl(&["https://files.example/hello.txt"])?
            .expect_success()?;
        Ok(())
    })();
    world.policy(&policy("pass"))?;
    result?;
    world.skopeo("ghcr.io/acme/app:1")?.expect_success()?;
    Ok(())
}

/// `docker run` on a bridge, with skopeo in it.
fn container(world: &World) -> Result<()> {
    let lab = &world.lab;
    lab.configure_engine(&json!({ "bridge": "" }))?;
    lab.start_engine()?;
    let result = (|| {
        lab.docker(&["pull", "ghcr.io/acme/app:1"])?
            .expect_success()?;
        let pull = |image: &str| {
            lab.command("docker")
                .args(["run", "--rm", "--volume", "/guest/pullers:/guest"])
                .args([
                    "--env",
                    &format!("SSL_CERT_FILE={TRUST}"),
                    "ghcr.io/acme/app:1",
                ])
                .args([
                    "/bin/busybox",
                    "chroot",
                    "/guest",
                    "/usr/bin/skopeo",
                    "--insecure-policy",
                    "copy",
                ])
                .args([&format!("docker://{image}"), "dir:/tmp/pulled"])
                .run()
        };
        world.begin();
        pull("ghcr.io/acme/app:1")?.expect_success()?;
        ensure!(!lab.ghcr().requests().is_empty(), "nobody asked ghcr.io");
        world.begin();
        pull("docker.io/evil/tool:latest")?.expect_failure("")?;
        pull("ghcr.io/other/thing:1")?.expect_failure("")?;
        ensure!(
            lab.docker_hub().requests_under("/v2/evil").is_empty(),
            "it was asked for"
        );
        ensure!(
            lab.ghcr().requests_under("/v2/other").is_empty(),
            "it was asked for"
        );
        let log = lab.read_file(AUDIT)?;
        ensure!(
            log.contains("\"172.17.0.2\""),
            "the container is not in the audit log"
        );
        hosts_file(world)
    })();
    lab.stop_engine()?;
    result
}

/// A container's own hosts file: an open name at a closed registry's address leads to its own server all the same, a closed name at an
/// open address nowhere.
fn hosts_file(world: &World) -> Result<()> {
    let lab = &world.lab;
    // A static busybox finds no names, so it reads the file as a resolver would.
    let fetch = |host: &str, address: &str| {
        let script = format!(
            "address=$(busybox awk '$2 == \"{host}\" {{ print $1 }}' /etc/hosts)\n\
             printf 'GET /hello.txt HTTP/1.0\\r\\nHost: {host}\\r\\n\\r\\n' | busybox nc -w 5 $address 80"
        );
        lab.command("docker")
            .args(["run", "--rm", "--add-host", &format!("{host}:{address}")])
            .args(["--env", "PATH=/bin", "ghcr.io/acme/app:1"])
            .args(["/bin/busybox", "sh", "-c", &script])
            .run()
    };
    world.begin();
    let open = fetch("files.example", "203.0.113.10")?;
    ensure!(
        open.stdout.contains("hello from files.example"),
        "not its own server: {open}"
    );
    world.untouched(lab.docker_hub())?;
    world.begin();
    let closed = fetch("registry-1.docker.io", "203.0.113.13")?;
    ensure!(!closed.stdout.contains("hello"), "it is open: {closed}");
    ensure!(
        closed.stdout.starts_with("HTTP/1.0 40"),
        "nobody refused it: {closed}"
    );
    world.untouched(lab.files_host())?;
    world.untouched(lab.docker_hub())
}

/// Other programs' connections are captured, and ramgate's own are not: it would go round in circles.
fn host(world: &World) -> Result<()> {
    let lab = &world.lab;
    let other = |arguments: &[&str]| {
        let user = ["--reuid=1234", "--regid=1234", "--clear-groups", "curl"];
        lab.command("setpriv")
            .args(user)
            .args(CURL)
            .args(arguments)
            .run()
    };
    lab.stop_ramgate()?;
    lab.write_settings(&settings(false))?;
    lab.start_ramgate()?;
    other(&["https://denied.example/hello.txt"])?.expect_success()?;
    world
        .nft(&["apply", "--host"])?
        .expect_failure("groupadd --system ramgate")?;
    let groups = lab.read_file("/etc/group")?;
    lab.write_file("/etc/group", format!("{groups}ramgate:x:998:\n"))?;
    world
        .nft(&["apply", "--host"])?
        .expect_failure("ramgate runs in group 0")?;
    lab.stop_ramgate()?;
    let serve = lab
        .command("setpriv")
        .args(["--regid=998", "--clear-groups"]);
    let serve = serve
        .args(["/usr/local/bin/ramgate", "serve"])
        .spawn("ramgate-in-group")?;
    let ready = (0..250).any(|_| {
        std::thread::sleep(Duration::from_millis(40));
        serve.log().contains("ready")
    });
    ensure!(ready, "ramgate does not start:\n{}", serve.log());
    world.nft(&["apply", "--host"])?.expect_success()?;
    world.begin();
    let result = (|| {
        other(&["https://files.example/hello.txt"])?.expect_success()?;
        other(&["https://ghcr.io/v2/"])?.expect_success()?;
        other(&["https://registry-1.docker.io/v2/"])?.expect_failure("access denied")?;
        other(&["--insecure", "https://203.0.113.10/v2/"])?.expect_failure("access denied")?;
        world.untouched(lab.docker_hub())?;
        // The mirror's own way to Docker Hub is open.
        other(&["http://127.0.0.1:5050/v2/library/alpine/manifests/3"])?.expect_success()?;
        ensure!(lab.docker_hub().connections() > 0, "the mirror did not ask");
        world.skopeo("ghcr.io/acme/app:1")?.expect_success()?;
        Ok(())
    })();
    result.map_err(|error: anyhow::Error| error.context(serve.log()))?;
    // In another group its connections come back to it: once, and not for ever.
    serve.stop(Duration::from_secs(15))?;
    lab.start_ramgate()?;
    other(&["https://files.example/hello.txt"])?.expect_failure("")?;
    let log = lab.ramgate_log();
    let circles = log
        .matches("a connection of the gate's own was captured")
        .count();
    ensure!(circles == 1, "{circles} circles:\n{log}");
    world.nft(&["apply"])?.expect_success()?;
    other(&["https://files.example/hello.txt"])?.expect_success()?;
    Ok(())
}

fn down(world: &World) -> Result<()> {
    world.lab.stop_ramgate()?;
    world
        .curl(&["https://files.example/hello.txt"])?
        .expect_failure("connect to server")?;
    let said = world.nft(&["apply"])?.expect_success()?;
    ensure!(said.stderr.is_empty(), "{said}");
    world.nft(&["remove"])?.expect_success()?;
    world
        .curl(&["https://files.example/hello.txt"])?
        .expect_success()?;
    let said = world.nft(&["apply"])?.expect_success()?;
    ensure!(
        said.stderr.contains("nobody listens at [::]:5054"),
        "{said}"
    );
    Ok(())
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

const AUDIT: &str = "/var/log/ramgate/audit.jsonl";
/// TLS alerts, fatal: `access_denied` and `decode_error`.
const DENIED: &str = "15030300020231";
const UNREADABLE: &str = "15030300020232";
