//! Machines that exist in memory, for tests and for the conformance suite.
//!
//! [`FakeProvider`] implements the whole seam with the idempotence that it asks for, and can be told to be slow, to fail,
//! to hang, to make an object and then fail, to let machines die, listen and answer. It records every call.
//!
//! ```
//! # use rig_provider_fake::{FakeProvider, Verb};
//! let fake = FakeProvider::new();
//! fake.on(Verb::Create).of("naughty/scale2").nth(1).fails("no space left on device");
//! fake.machine("immutable/*").prints("ready").http(8080, "/json/", 200, r#"{"status":"ALIVE"}"#);
//! fake.machine("immutable/batch").dies(std::time::Duration::from_millis(5), 7);
//! ```

mod calls;
mod changes;
mod dial;
mod engine;
mod exec;
mod files;
mod images;
mod life;
mod logs;
mod networks;
mod provider;
mod rules;
mod script;
mod shell;
mod snapshots;
mod state;
mod usage;
mod watch;

pub use calls::{Call, Verb};
pub use engine::{Capability, FakeProvider};
pub use rules::RuleBuilder;
pub use script::{ExecAnswer, ScriptBuilder};
