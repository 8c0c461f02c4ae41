//! An engine with the suite's box in it.

use crate::rootfs;
use futures_util::{StreamExt, stream};
use rig_model::{Digest, Ipv4Net, Name};
use rig_provider_api::{BoxTag, Context, Images, ObserveScope, Provider, conformance::Fixture};
use rig_provider_docker::{DockerProvider, EngineAddress};
use std::{net::Ipv4Addr, time::Duration};

/// Names another engine than the default one.
const VARIABLE: &str = "RIG_TEST_ENGINE";

/// The capabilities that machines of this provider have: CHOWN (0), DAC_OVERRIDE (1), FOWNER (3), FSETID (4), KILL (5),
/// SETGID (6), SETUID (7), NET_BIND_SERVICE (10) and SYS_CHROOT (18), by their numbers in `linux/capability.h`.
const CAPABILITIES: u64 = 1 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 18;

/// The engine, and what every case of this run shares.
pub(crate) struct Stand {
    pub(crate) provider: DockerProvider,
    tag: BoxTag,
    root: bytes::Bytes,
    /// The second number of the run's address ranges.
    range: u8,
}

impl Stand {
    /// Connects and puts the box there.
    pub(crate) async fn new() -> Result<Self, String> {
        let cx = Context::alone(Duration::from_secs(60));
        let address = EngineAddress::parse(&engine(), None, "the test").map_err(|error| error.to_string())?;
        let provider = DockerProvider::connect(&cx, address).await.map_err(|error| {
            format!("{error}\nThe suite needs an engine; {VARIABLE}=unix:///path names another one.")
        })?;
        let root = rootfs::root()?;
        let name = Name::new(format!("suite-{}", std::process::id())).map_err(|error| error.to_string())?;
        let digest = Digest::of(&root);
        let tag = BoxTag { image: provider.reference(&name, &digest), name, digest, parent: None };
        let archive = stream::iter([Ok(root.clone())]).boxed();
        provider.import(&cx, &tag, archive).await.map_err(|error| error.to_string())?;
        let range = free_range(&provider, &cx, &tag.name).await?;
        Ok(Self { provider, tag, root, range })
    }

    /// What the case with this number is played with.
    pub(crate) fn fixture(&self, number: u8) -> Result<Fixture, String> {
        let workspace = Name::new(format!("c{}-{number:03}", std::process::id())).map_err(|error| error.to_string())?;
        let half = |last| Ipv4Net::new(Ipv4Addr::new(10, self.range, number, last), 25);
        let subnets = [half(0), half(128)].map(|net| net.map_err(|error| error.to_string()));
        let [Ok(first), Ok(second)] = subnets else { return Err("no address ranges".to_owned()) };
        Ok(Fixture {
            real: true,
            capabilities: CAPABILITIES,
            root: self.root.clone(),
            context: rootfs::context,
            ..Fixture::posix(workspace, self.tag.name.clone(), self.tag.image.clone(), [first, second])
        })
    }

    /// Removes the box.
    pub(crate) async fn clear(&self) -> Result<(), String> {
        let cx = Context::alone(Duration::from_secs(30));
        self.provider.remove(&cx, &self.tag.image).await.map_err(|error| error.to_string())
    }
}

#[expect(clippy::disallowed_methods, reason = "a test program has no settings but these")]
fn engine() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned())
}

/// A `10.x.0.0/16` that no network of the engine touches; runs at the same time begin their search at different places.
async fn free_range(provider: &DockerProvider, cx: &Context, workspace: &Name) -> Result<u8, String> {
    let scope = ObserveScope { networks: true, ..ObserveScope::MACHINES };
    let there = provider.observe(cx, workspace, scope).await.map_err(|error| error.to_string())?;
    let start = (std::process::id() % 200) as u8;
    (0..200_u8)
        .map(|step| 20 + ((u16::from(start) + u16::from(step)) % 200) as u8)
        .find(|second| {
            let range = Ipv4Net::new(Ipv4Addr::new(10, *second, 0, 0), 16);
            range.is_ok_and(|range| {
                !there.foreign_subnets.iter().any(|other| range.contains(other) || other.contains(&range))
            })
        })
        .ok_or_else(|| "the engine's networks have used up 10.0.0.0/8".to_owned())
}
