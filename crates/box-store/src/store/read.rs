//! What is in the store.

use super::BoxStore;
use crate::{
    Architecture, BoxKey, BoxProvider, Constraint, Disk, Metadata, Record, Result, StoreError, StoreName,
    VagrantfileFacts, Wish, disks, layout::Layout, metadata, vagrantfile,
};
use camino::{Utf8Path, Utf8PathBuf};
use std::{
    collections::BTreeSet,
    io::{self, Read},
};

/// The largest text of a box that is read, in bytes: `metadata.json` and the like.
const LARGEST: u64 = 1 << 20;

/// A box in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBox {
    /// What is known about it.
    pub record: Record,
    /// The folder with its files.
    pub folder: Utf8PathBuf,
}

/// What a stored box holds, for those who make machines of it.
#[derive(Clone, Debug)]
pub struct BoxContent {
    /// Its `metadata.json`.
    pub metadata: Metadata,
    /// Its `info.json`: remarks of those who made it.
    pub info: Option<serde_json::Map<String, serde_json::Value>>,
    /// What its Vagrantfile says plainly.
    pub facts: VagrantfileFacts,
    /// Its disks, in their order.
    pub disks: Vec<Disk>,
}

/// Everything in the store.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The boxes, by name and version.
    pub boxes: Vec<StoredBox>,
    /// Places whose record cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// A place in the store with a record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The place.
    pub folder: Utf8PathBuf,
    /// The box that has this place, where it is one that a box can have.
    pub key: Option<BoxKey>,
    /// What is wrong.
    pub why: String,
}

/// Which boxes are meant. Nothing set means all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of this name.
    pub name: Option<StoreName>,
    /// Those whose version meets this.
    pub constraint: Constraint,
    /// Those for this provider.
    pub provider: Option<BoxProvider>,
    /// Those for this architecture.
    pub architecture: Option<Architecture>,
}

impl Filter {
    /// Whether a box is meant.
    #[must_use]
    pub fn matches(&self, key: &BoxKey) -> bool {
        self.name.as_ref().is_none_or(|name| *name == key.name)
            && self.constraint.is_met_by(&key.version)
            && self.provider.as_ref().is_none_or(|provider| *provider == key.provider)
            && self.architecture.as_ref().is_none_or(|architecture| *architecture == key.architecture)
    }
}

impl StoredBox {
    /// Which box it is.
    #[must_use]
    pub fn key(&self) -> &BoxKey {
        &self.record.key
    }

    /// Reads what it holds. Blocks.
    ///
    /// # Errors
    /// When a file of it is missing or wrong.
    pub fn open(&self) -> Result<BoxContent> {
        content(&self.folder, &self.record.key.to_string())
    }
}

impl BoxStore {
    /// Everything that is there. Blocks while it reads folders.
    ///
    /// # Errors
    /// When a folder of the store cannot be read.
    pub fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        for folder in folders(self.layout.root())? {
            self.list_name(&folder, &mut listing)?;
        }
        listing.boxes.sort_by(|a, b| a.key().cmp(b.key()));
        Ok(listing)
    }

    /// The boxes that are meant. Blocks while it reads folders.
    ///
    /// # Errors
    /// When a folder of the store cannot be read, or a name is meant that nothing has.
    pub fn select(&self, filter: &Filter) -> Result<Vec<StoredBox>> {
        let all = self.list()?.boxes;
        let (matching, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|stored| filter.matches(stored.key()));
        match &filter.name {
            Some(name) if matching.is_empty() => Err(not_stored(name, &others)),
            _ => Ok(matching),
        }
    }

    /// The boxes that are meant and whose records cannot be read: by their places. Blocks while it reads folders.
    ///
    /// # Errors
    /// When a folder of the store cannot be read.
    pub fn unreadable(&self, filter: &Filter) -> Result<Vec<BoxKey>> {
        let keys = self.list()?.unreadable.into_iter().filter_map(|unreadable| unreadable.key);
        Ok(keys.filter(|key| filter.matches(key)).collect())
    }

    /// The newest box of a name that is what is wanted. Where no architecture is wanted, it is the host's, or one that
    /// nobody knows. Blocks while it reads folders.
    ///
    /// # Errors
    /// When there is none, there are several and no provider is wanted, or a folder of the store cannot be read.
    pub fn get(&self, name: &StoreName, wish: &Wish) -> Result<StoredBox> {
        let all = self.of_name(name)?;
        let providers = wish.provider.as_ref().map(BoxProvider::accepts);
        let fits = |stored: &&StoredBox| {
            let key = stored.key();
            let on = match &wish.architecture {
                Some(architecture) => key.architecture == *architecture,
                None => key.architecture == self.settings.architecture || key.architecture.is_unknown(),
            };
            on && providers.as_ref().is_none_or(|providers| providers.contains(&key.provider))
        };
        // The last of equal ones is taken: what says what it runs on counts more than what does not.
        let mut fitting: Vec<&StoredBox> = all.iter().filter(fits).collect();
        fitting.sort_by_key(|stored| !stored.key().architecture.is_unknown());
        let newest = wish.constraint.newest(fitting.iter().copied(), |stored| &stored.key().version);
        let newest = newest.ok_or_else(|| not_stored(name, &all))?;
        let of_version = fitting.iter().map(|stored| stored.key()).filter(|key| key.version == newest.key().version);
        let providers: BTreeSet<String> = of_version.map(|key| key.provider.to_string()).collect();
        if wish.provider.is_none() && providers.len() > 1 {
            let name = format!("{name} {}", newest.key().version);
            return Err(StoreError::SeveralProviders { name, providers: providers.into_iter().collect() });
        }
        Ok(newest.clone())
    }

    /// The boxes of one name.
    pub(super) fn of_name(&self, name: &StoreName) -> Result<Vec<StoredBox>> {
        let mut listing = Listing::default();
        self.list_name(&self.layout.name(name), &mut listing)?;
        Ok(listing.boxes)
    }

    fn list_name(&self, folder: &Utf8Path, listing: &mut Listing) -> Result<()> {
        for version in folders(folder)? {
            for architecture in folders(&version)? {
                for slot in folders(&architecture)? {
                    match self.read_slot(&slot) {
                        Ok(Some(stored)) => listing.boxes.push(stored),
                        // Without a record there is nothing that was whole once.
                        Ok(None) => {}
                        Err(error) => listing.unreadable.push(Unreadable {
                            key: self.layout.key_of(&slot),
                            folder: slot,
                            why: error.to_string(),
                        }),
                    }
                }
            }
        }
        Ok(())
    }

    fn read_slot(&self, slot: &Utf8Path) -> Result<Option<StoredBox>> {
        let path = Layout::record(slot);
        let Some(record) = Record::read(&path)? else { return Ok(None) };
        if self.layout.slot(&record.key) != slot {
            let why = format!("it is the record of {}, which has another place", record.key);
            return Err(rig_state::StateError::Corrupt { path, why }.into());
        }
        Ok(Some(StoredBox { record, folder: Layout::files(slot) }))
    }
}

fn not_stored(name: &StoreName, others: &[StoredBox]) -> StoreError {
    let (same, rest): (Vec<_>, Vec<_>) = others.iter().partition(|stored| stored.key().name == *name);
    let (what, shown) =
        if same.is_empty() { (name.to_string(), rest) } else { (format!("{name} that is what is wanted"), same) };
    StoreError::NotStored { what, present: shown.iter().map(|stored| stored.key().to_string()).collect() }
}

/// The folders in a folder, hidden ones left out; none where there is no folder.
fn folders(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let fail = || StoreError::file(format!("reading the box store {folder}"));
    let entries = match folder.read_dir_utf8() {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(fail())?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fail())?;
        if !entry.file_name().starts_with('.') {
            found.push(entry.into_path());
        }
    }
    found.sort();
    Ok(found)
}

/// Reads what an unpacked box holds, and checks it.
pub(super) fn content(folder: &Utf8Path, what: &str) -> Result<BoxContent> {
    let wrong = |why: String| StoreError::Content { what: what.to_owned(), why };
    let metadata = text(&folder.join(metadata::METADATA)).map_err(wrong)?;
    let metadata =
        metadata.ok_or_else(|| wrong(format!("it has no {}, so nobody knows what it is for", metadata::METADATA)))?;
    let metadata = Metadata::parse(metadata.as_bytes()).map_err(wrong)?;
    let info = text(&folder.join(metadata::INFO)).map_err(wrong)?;
    // Nothing depends on it: remarks that cannot be read are none.
    let info = info.and_then(|info| serde_json::from_str(&info).ok());
    let mut facts = VagrantfileFacts::default();
    for place in vagrantfile::PLACES {
        if let Some(text) = text(&folder.join(place)).map_err(wrong)? {
            facts = facts.or(VagrantfileFacts::read(&text));
        }
    }
    let disks = disks::find(folder, &metadata).map_err(wrong)?;
    Ok(BoxContent { metadata, info, facts, disks })
}

/// A short text of a box; bytes that are no UTF-8 are replaced.
fn text(path: &Utf8Path) -> std::result::Result<Option<String>, String> {
    let file = match fs_err::File::open(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        other => other.map_err(|error| error.to_string())?,
    };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("{} has more than {LARGEST} bytes", path.file_name().unwrap_or_default()));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
