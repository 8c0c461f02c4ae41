//! Machines as virtual machines of VirtualBox, through its program `VBoxManage`: linked clones of a master that was made of a
//! box, whose extra data says whose they are. What they are doing is read from their settings files, which VirtualBox keeps up to
//! date, so that a look at any number of machines runs two programs.

mod bootstrap;
mod boxes;
mod briefing;
mod console;
mod doors;
mod label;
mod layout;
mod life;
mod networks;
mod observe;
mod options;
mod output;
mod packaging;
mod programs;
mod provider;
mod registry;
mod run;
mod runner;
mod running;
mod seed;
mod settings;
mod snapshots;
mod suspension;
mod version;

pub use layout::VirtualBoxLayout;
pub use programs::{MANAGE, Programs};
pub use provider::VirtualBoxProvider;
