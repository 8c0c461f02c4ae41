//! Snapshots of machines: the provider keeps what they were, the state folder what rig knew of them.
//!
//! A machine that was restored has another identity. What is known of machines belongs to identities, so that a machine which
//! was made anew is not taken for an old one; here the old knowledge is given to the new identity.

mod keep;

pub(crate) use keep::{delete, restore, save};
