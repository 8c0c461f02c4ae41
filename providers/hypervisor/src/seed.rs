//! The disk that tells a virtual machine who it is: host name, addresses, who may enter, and the host key that rig expects.
//!
//! It is a NoCloud seed, which images with cloud-init read (<https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html>).
//! Boxes that rig makes have no cloud-init, whose Python takes longer than everything else of a boot: they read two more files
//! that need no parser, `rig.env` with lines of `KEY=value` and `root.tar` with files in their places.

use crate::Keys;
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write as _,
    io::{self, Cursor, Write},
    net::Ipv4Addr,
};

/// The size of the disk in bytes: everything on it is text of some kilobytes.
const SIZE: usize = 1 << 20;

/// The label by which images find the disk, padded as the file system wants it.
const LABEL: [u8; 11] = *b"CIDATA     ";

/// The user's number in boxes that rig makes: the first that Debian gives. A machine makes a user that it does not have, and
/// gives it its files then.
const USER: u64 = 1000;

/// What a hypervisor's own network gives to a machine's first card: its address, the length of the prefix, and the way out; and who
/// answers for names. QEMU and VirtualBox give the same (<https://www.qemu.org/docs/master/system/devices/net.html>,
/// <https://www.virtualbox.org/manual/topics/networkingdetails.html#network_nat>).
pub const NAT: (Ipv4Addr, u8, Ipv4Addr) = (Ipv4Addr::new(10, 0, 2, 15), 24, Ipv4Addr::new(10, 0, 2, 2));
const NAMESERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// One network card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its hardware address, by which the machine finds it.
    pub mac: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// The length of its network's prefix.
    pub prefix: u8,
    /// Where everything else is reached, if through this card.
    pub gateway: Option<Ipv4Addr>,
}

/// What a machine is told.
#[derive(Clone, Debug)]
pub struct Seed<'a> {
    /// Another machine is another instance: what is done once for an instance is done again.
    pub instance: &'a str,
    /// Its host name.
    pub hostname: &'a str,
    /// Who may enter.
    pub user: &'a str,
    /// With which key, as a line of OpenSSH.
    pub authorized_key: &'a str,
    /// The private and the public half of the host key, in OpenSSH's forms.
    pub host_key: (&'a str, &'a str),
    /// Its network cards.
    pub cards: &'a [Card],
    /// Where names are asked.
    pub nameserver: Ipv4Addr,
    /// Its own name and those of other machines with their addresses.
    pub hosts: &'a [(String, Ipv4Addr)],
}

impl<'a> Seed<'a> {
    /// What a machine is told that was given these keys. Without any nobody gets in.
    #[must_use]
    pub fn new(instance: &'a str, hostname: &'a str, keys: Option<&'a Keys>) -> Self {
        Self {
            instance,
            hostname,
            user: keys.map_or("rig", |keys| &keys.user),
            authorized_key: keys.map_or("", |keys| &keys.authorized_key),
            host_key: keys.map_or(("", ""), |keys| (&keys.host_key, &keys.public_host_key)),
            cards: &[],
            nameserver: NAMESERVER,
            hosts: &[],
        }
    }
}

impl Seed<'_> {
    /// The disk's bytes.
    ///
    /// # Errors
    /// When it does not all fit.
    pub fn image(&self) -> io::Result<Vec<u8>> {
        let mut disk = Cursor::new(vec![0; SIZE]);
        fatfs::format_volume(&mut disk, fatfs::FormatVolumeOptions::new().volume_label(LABEL))?;
        {
            let volume = fatfs::FileSystem::new(&mut disk, fatfs::FsOptions::new())?;
            let files = [
                ("meta-data", self.meta_data().into_bytes()),
                ("user-data", self.user_data().into_bytes()),
                ("network-config", self.network_config().into_bytes()),
                ("rig.env", self.environment().into_bytes()),
                ("root.tar", self.root()?),
            ];
            for (name, content) in files {
                volume.root_dir().create_file(name)?.write_all(&content)?;
            }
        }
        Ok(disk.into_inner())
    }

    fn meta_data(&self) -> String {
        format!("instance-id: {}\nlocal-hostname: {}\n", self.instance, self.hostname)
    }

    /// For cloud-init. Values are written as JSON, which is YAML as well.
    fn user_data(&self) -> String {
        let (private, public) = self.host_key;
        let document = serde_json::json!({
            "hostname": self.hostname,
            "users": [{
                "name": self.user,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "shell": "/bin/bash",
                "lock_passwd": true,
                "ssh_authorized_keys": [self.authorized_key],
            }],
            "ssh_deletekeys": true,
            "ssh_genkeytypes": [],
            "ssh_keys": { "ed25519_private": private, "ed25519_public": public },
            "write_files": [{ "path": "/etc/hosts", "content": self.hosts_file() }],
            "manage_etc_hosts": false,
        });
        format!("#cloud-config\n{document:#}\n")
    }

    fn network_config(&self) -> String {
        let mut ethernets = serde_json::Map::new();
        for (number, card) in self.cards.iter().enumerate() {
            let mut settings = serde_json::json!({
                "match": { "macaddress": card.mac },
                "addresses": [format!("{}/{}", card.ip, card.prefix)],
            });
            if let Some(gateway) = card.gateway {
                settings["routes"] = serde_json::json!([{ "to": "0.0.0.0/0", "via": gateway }]);
                settings["nameservers"] = serde_json::json!({ "addresses": [self.nameserver] });
            }
            ethernets.insert(format!("card{number}"), settings);
        }
        format!("{:#}\n", serde_json::json!({ "version": 2, "ethernets": ethernets }))
    }

    /// For rig's own boxes. No value of it can hold a line's end: names, addresses and numbers.
    fn environment(&self) -> String {
        let mut text = format!("INSTANCE_ID={}\nHOSTNAME={}\nUSER={}\n", self.instance, self.hostname, self.user);
        for card in self.cards {
            let gateway = card.gateway.map(|gateway| format!(" {gateway}")).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "NIC={} {}/{}{gateway}", card.mac, card.ip, card.prefix);
        }
        text
    }

    fn root(&self) -> io::Result<Vec<u8>> {
        let (private, public) = self.host_key;
        let home = format!("home/{}/.ssh", self.user);
        let mut tar = Root(tar::Builder::new(Vec::new()));
        tar.file("etc/hosts", (0o644, 0), &self.hosts_file())?;
        tar.file("etc/resolv.conf", (0o644, 0), &format!("nameserver {}\n", self.nameserver))?;
        tar.file("etc/ssh/ssh_host_ed25519_key", (0o600, 0), private)?;
        tar.file("etc/ssh/ssh_host_ed25519_key.pub", (0o644, 0), public)?;
        tar.folder(&home, (0o700, USER))?;
        tar.file(&format!("{home}/authorized_keys"), (0o600, USER), &format!("{}\n", self.authorized_key))?;
        tar.0.into_inner()
    }

    fn hosts_file(&self) -> String {
        crate::hosts_file(self.hosts)
    }
}

/// Files in their places, with owners and rights.
struct Root(tar::Builder<Vec<u8>>);

impl Root {
    fn file(&mut self, path: &str, (mode, owner): (u32, u64), content: &str) -> io::Result<()> {
        let mut header = Self::header(mode, owner);
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, path, content.as_bytes())
    }

    fn folder(&mut self, path: &str, (mode, owner): (u32, u64)) -> io::Result<()> {
        let mut header = Self::header(mode, owner);
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        self.0.append_data(&mut header, path, io::empty())
    }

    fn header(mode: u32, owner: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn read(image: &[u8], name: &str) -> String {
        let volume = fatfs::FileSystem::new(Cursor::new(image.to_vec()), fatfs::FsOptions::new()).unwrap();
        assert_eq!(volume.volume_label(), "CIDATA");
        let mut text = Vec::new();
        volume.root_dir().open_file(name).unwrap().read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn a_seed_says_the_same_in_both_ways() {
        let (nat, own) = (Ipv4Addr::new(10, 0, 2, 15), Ipv4Addr::new(10, 89, 1, 2));
        let seed = Seed {
            instance: "lab.main.web-1",
            hostname: "web",
            user: "rig",
            authorized_key: "ssh-ed25519 AAAA rig lab",
            host_key: ("PRIVATE\n", "ssh-ed25519 BBBB\n"),
            cards: &[
                Card {
                    mac: "52:54:00:00:00:01".to_owned(),
                    ip: nat,
                    prefix: 24,
                    gateway: Some(Ipv4Addr::new(10, 0, 2, 2)),
                },
                Card { mac: "52:54:00:00:01:01".to_owned(), ip: own, prefix: 24, gateway: None },
            ],
            nameserver: Ipv4Addr::new(10, 0, 2, 3),
            hosts: &[("web".to_owned(), own), ("db".to_owned(), Ipv4Addr::new(10, 89, 1, 3))],
        };
        let image = seed.image().unwrap();
        assert_eq!(
            read(&image, "rig.env"),
            "INSTANCE_ID=lab.main.web-1\nHOSTNAME=web\nUSER=rig\nNIC=52:54:00:00:00:01 10.0.2.15/24 10.0.2.2\nNIC=52:54:00:00:01:01 10.89.1.2/24\n"
        );
        let user_data = read(&image, "user-data");
        assert!(user_data.starts_with("#cloud-config\n{"), "{user_data}");
        let document: serde_json::Value = serde_json::from_str(user_data.split_once('\n').unwrap().1).unwrap();
        assert_eq!(document["ssh_keys"]["ed25519_private"], "PRIVATE\n");
        assert_eq!(document["write_files"][0]["content"], "127.0.0.1\tlocalhost\n10.89.1.2\tweb\n10.89.1.3\tdb\n");
        let network: serde_json::Value = serde_json::from_str(&read(&image, "network-config")).unwrap();
        assert_eq!(network["ethernets"]["card1"]["addresses"][0], "10.89.1.2/24");
        assert!(read(&image, "root.tar").contains("home/rig/.ssh/authorized_keys"));
    }
}
