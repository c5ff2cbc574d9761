//! A network namespace for a node under test: a network that can be cut, so that what is sent vanishes.
//!
//! One pair of veth devices leads into it, and on it lie a few *lines*: pairs of addresses, one outside and one inside, each of which can be
//! cut by itself. Whoever sends over a cut line has a wrong hardware address for the other end: nobody takes the packets, no reset and no ICMP comes
//! back, and connections stay open. It needs no packet filter; it does need root (or CAP_NET_ADMIN) and iproute2.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Stdio};

use xtask::process::{Signal, send};

/// Lines of a namespace.
pub(crate) const LINES: u32 = 3;
/// Of 198.18.0.0/15, which is kept for tests of networks (RFC 2544), each namespace has a block of 16 addresses, and each line four of those.
const NETWORK: u32 = u32::from_be_bytes([198, 18, 0, 0]);
const BLOCK: u32 = 16;
/// Far more than tests run at once.
const BLOCKS: u32 = 1_024;
/// Hardware addresses: of the end outside, of the end inside, and of nobody.
const OUTSIDE: &str = "02:00:00:00:00:01";
const INSIDE: &str = "02:00:00:00:00:02";
const NOBODY: &str = "02:00:00:00:00:ff";
/// The device inside.
const DEVICE: &str = "eth0";

/// See the module's text. Gone on drop; what a test binary that was killed has left is removed by the next that takes its block.
#[derive(Debug)]
pub(crate) struct Namespace {
    block: u32,
    /// Also that of the device outside.
    name: String,
    /// Locked as long as the block is ours, however we end.
    claim: File,
}

/// Which directions of a line are silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    pub(crate) line: u32,
    pub(crate) outwards: bool,
    pub(crate) inwards: bool,
}

impl Namespace {
    /// Makes one, or says why that cannot be done here.
    pub(crate) fn make() -> Result<Self, String> {
        let (block, claim) = claim()?;
        Self::make_at(block, claim)
    }

    fn make_at(block: u32, claim: File) -> Result<Self, String> {
        let namespace = Self { block, name: format!("tripsync{block}"), claim };
        // Of a test binary that was killed: its device would keep the addresses.
        namespace.remove();
        let name = &namespace.name;
        ip(&["netns", "add", name], &[])?;
        let (mut outside, mut inside) = (Vec::new(), vec!["link set lo up".to_owned()]);
        outside.push(format!("link add {name} address {OUTSIDE} type veth peer name {DEVICE} address {INSIDE} netns {name}"));
        for line in 0..LINES {
            outside.push(format!("address add {}/30 dev {name}", namespace.outside(line)));
            inside.push(format!("address add {}/30 dev {DEVICE}", namespace.inside(line)));
        }
        outside.push(format!("link set {name} up"));
        inside.push(format!("link set {DEVICE} up"));
        ip(&["-batch", "-"], &outside)?;
        ip(&["-n", name, "-batch", "-"], &inside)?;
        namespace.silence(&[0, 1, 2].map(|line| Silence { line, outwards: false, inwards: false }))?;
        // Programs can be run in it, too, which takes more than making it.
        let ran = namespace.command(Path::new("true")).stdin(Stdio::null()).output();
        ran.ok().filter(|output| output.status.success()).ok_or("`ip netns exec` does not work")?;
        Ok(namespace)
    }

    /// A line's end outside: where those inside find what listens there.
    pub(crate) fn outside(&self, line: u32) -> IpAddr {
        self.end(line, 1)
    }

    /// A line's end inside.
    pub(crate) fn inside(&self, line: u32) -> IpAddr {
        self.end(line, 2)
    }

    fn end(&self, line: u32, which: u32) -> IpAddr {
        assert!(line < LINES, "there is no line {line}");
        Ipv4Addr::from(NETWORK + self.block * BLOCK + line * 4 + which).into()
    }

    /// A command that runs a program inside, as the process that is started: signals reach the program itself.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Cuts some lines, or heals them.
    pub(crate) fn silence(&self, lines: &[Silence]) -> Result<(), String> {
        let neighbour = |address: IpAddr, silent: bool, right: &str, device: &str| {
            format!("neighbour replace {address} lladdr {} dev {device} nud permanent", if silent { NOBODY } else { right })
        };
        let (outside, inside): (Vec<_>, Vec<_>) = lines
            .iter()
            .map(|Silence { line, outwards, inwards }| {
                let of_inside = neighbour(self.inside(*line), *inwards, INSIDE, &self.name);
                (of_inside, neighbour(self.outside(*line), *outwards, OUTSIDE, DEVICE))
            })
            .unzip();
        ip(&["-batch", "-"], &outside)?;
        ip(&["-n", &self.name, "-batch", "-"], &inside)
    }

    fn remove(&self) {
        // Without processes inside it is gone with its name.
        let inside = Command::new("ip").args(["netns", "pids", &self.name]).stderr(Stdio::null()).output();
        let inside = inside.map(|output| String::from_utf8_lossy(&output.stdout).lines().filter_map(|pid| pid.parse().ok()).collect());
        let _ = send(Signal::Kill, &inside.unwrap_or_else(|_| Vec::new()));
        // Both ends of the pair at once.
        let _ = ip(&["link", "delete", &self.name], &[]);
        let _ = ip(&["netns", "delete", &self.name], &[]);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The first block that no living test has.
fn claim() -> Result<(u32, File), String> {
    for block in 0..BLOCKS {
        let path = std::env::temp_dir().join(format!("tripsync-netns-{block}.lock"));
        let file = File::options().create(true).append(true).open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        match file.try_lock() {
            Ok(()) => return Ok((block, file)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(format!("{}: {error}", path.display())),
        }
    }
    Err(format!("all {BLOCKS} blocks of addresses are taken"))
}

/// Runs `ip` with these arguments and lines for its `-batch -`; what it says when it fails.
fn ip(args: &[&str], lines: &[String]) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot run `ip`: {error}");
    let mut child =
        Command::new("ip").args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let mut input = child.stdin.take().expect("piped");
    // Fails when it has ended already, and then it says why.
    let _ = lines.iter().try_for_each(|line| writeln!(input, "{line}"));
    drop(input);
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("`ip {}`: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
    }
}

mod tests {
    use super::*;

    #[test]
    fn what_a_killed_test_left_is_in_nobodys_way() {
        let Ok(first) = Namespace::make() else { return eprintln!("SKIPPED: no network namespaces here") };
        let second = Namespace::make().unwrap();
        assert_ne!((&first.name, first.inside(0)), (&second.name, second.inside(0)));
        let (block, claim) = (first.block, first.claim.try_clone().unwrap());
        std::mem::forget(first);
        let next = Namespace::make_at(block, claim).unwrap();
        let name = next.name.clone();
        let known = || String::from_utf8(Command::new("ip").args(["netns", "list"]).output().unwrap().stdout).unwrap();
        assert!(known().lines().any(|line| line.split(' ').next() == Some(&name)));
        drop(next);
        assert!(!known().lines().any(|line| line.split(' ').next() == Some(&name)), "still there");
    }
}
