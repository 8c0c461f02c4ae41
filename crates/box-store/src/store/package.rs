//! Making a box file of what was written of a machine.

use super::{Repackaged, blocking, repackage};
use crate::{
    Architecture, BoxProvider, Result, StoreError, StoredFile, archive::Unpacked, hash, metadata::METADATA,
    vagrantfile::PLACES, watch::Watch,
};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::Bytes;
use rig_provider_api::{Context, PackagedDisk};
use serde_json::json;
use std::io;

/// A box that is to be made of a folder.
#[derive(Clone, Debug)]
pub struct Package {
    /// The folder with a description and disks, and nothing else. What boxes say of themselves is written into it.
    pub folder: Utf8PathBuf,
    /// What it is made for.
    pub provider: BoxProvider,
    /// What it runs on.
    pub architecture: Architecture,
    /// The address of its first network card: twelve hexadecimal digits.
    pub mac: Option<String>,
    /// Its only disk, where boxes of its kind say what that is.
    pub disk: Option<PackagedDisk>,
    /// The user that it lets in.
    pub user: String,
}

impl Package {
    /// Makes a box file. It is there whole or not at all.
    ///
    /// # Errors
    /// When there is a file and `force` is not set, the folder holds something else than files, a file cannot be read or written,
    /// or the caller cancels.
    pub async fn write(self, output: &Utf8Path, force: bool, cx: &Context) -> Result<Repackaged> {
        let (output, cx) = (output.to_owned(), cx.clone());
        blocking(move || self.write_now(&output, force, &cx)).await
    }

    /// Says before a machine is stopped for it that the file is there already.
    ///
    /// # Errors
    /// When there is a file and `force` is not set.
    pub fn may_write(output: &Utf8Path, force: bool) -> Result<()> {
        repackage::refuse_to_overwrite(output, force)
    }

    fn write_now(&self, output: &Utf8Path, force: bool, cx: &Context) -> Result<Repackaged> {
        Self::may_write(output, force)?;
        let fail = || StoreError::file(format!("preparing {}", self.folder));
        let mut metadata = json!({ "provider": self.provider, "architecture": self.architecture });
        if let Some(PackagedDisk { format, size }) = self.disk {
            (metadata["format"], metadata["virtual_size"]) = (format.into(), size.0.div_ceil(Bytes::GIB).into());
        }
        fs_err::write(self.folder.join(METADATA), format!("{metadata:#}\n")).map_err(fail())?;
        fs_err::write(self.folder.join(PLACES[0]), self.vagrantfile()).map_err(fail())?;
        let mut files = Vec::new();
        for entry in self.folder.read_dir_utf8().map_err(fail())? {
            let path = entry.map_err(fail())?.into_path();
            let mut file = fs_err::File::open(&path).map_err(fail())?;
            let size = file.metadata().map_err(fail())?.len();
            let (size, sha256, _) = hash::read(&mut file, None, &mut Watch::new(cx, "reading", Some(size)))?;
            let name = path.file_name().ok_or_else(|| fail()(io::Error::other(format!("{path} has no name"))))?;
            files.push(StoredFile { path: name.into(), size, sha256 });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        repackage::write(&self.folder, &Unpacked { files, links: Vec::new() }, output, force, cx)
    }

    /// What Vagrant reads of a box before it has a machine of it.
    fn vagrantfile(&self) -> String {
        // Vagrant runs it: nothing in single quotes is code.
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        let mac = self.mac.iter().map(|mac| format!("  config.vm.base_mac = {}\n", quoted(mac)));
        let user = (self.user != "vagrant").then(|| format!("  config.ssh.username = {}\n", quoted(&self.user)));
        format!("Vagrant.configure(\"2\") do |config|\n{}end\n", mac.chain(user).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vagrantfile::VagrantfileFacts;

    fn package(folder: &Utf8Path, user: &str) -> Package {
        Package {
            folder: folder.to_owned(),
            provider: BoxProvider::new("virtualbox").unwrap(),
            architecture: Architecture::new("amd64").unwrap(),
            mac: Some("080027A1B2C3".to_owned()),
            disk: None,
            user: user.to_owned(),
        }
    }

    #[test]
    fn what_is_written_for_vagrant_is_read_again_and_holds_no_code() {
        let text = package("/none".into(), "me").vagrantfile();
        let facts = VagrantfileFacts::read(&text);
        assert_eq!(
            (facts.base_mac.as_deref(), facts.ssh_username.as_deref()),
            (Some("080027A1B2C3"), Some("me")),
            "{text}"
        );
        assert!(!package("/none".into(), "vagrant").vagrantfile().contains("username"));
        assert!(package("/none".into(), "a'; exit #{1}").vagrantfile().contains(r"'a\'; exit #{1}'"));
    }

    #[tokio::test]
    async fn a_box_holds_what_is_in_the_folder_and_what_boxes_say_of_themselves() {
        let guard = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(guard.path()).unwrap();
        let (of_machine, output) = (folder.join("machine"), folder.join("new.box"));
        fs_err::create_dir(&of_machine).unwrap();
        fs_err::write(of_machine.join("box.ovf"), "<Envelope/>").unwrap();
        let cx = Context::alone(std::time::Duration::from_secs(60));
        let made = package(&of_machine, "vagrant").write(&output, false, &cx).await.unwrap();
        assert_eq!(made.size, fs_err::metadata(&output).unwrap().len());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs_err::File::open(&output).unwrap()));
        let names: Vec<String> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(names, ["metadata.json", "Vagrantfile", "box.ovf"]);
        let again = package(&of_machine, "vagrant").write(&output, false, &cx).await.unwrap_err();
        assert!(matches!(again, StoreError::Exists { .. }), "{again}");
        assert_eq!(package(&of_machine, "vagrant").write(&output, true, &cx).await.unwrap(), made);
    }
}
