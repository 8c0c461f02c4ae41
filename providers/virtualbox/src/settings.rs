//! A machine's settings file, which VirtualBox writes at every change: what its extra data says, whether its memory is on disk, which
//! ports lead in, which snapshots there are. Only what is needed is read; everything else in it is VirtualBox's.

use camino::Utf8Path;
use jiff::Timestamp;
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};
use rig_hypervisor::files;
use rig_provider_api::{ProviderError, Result};
use std::collections::BTreeMap;

/// A machine as its file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) uuid: String,
    /// Whether what it holds in memory is on disk.
    pub(crate) saved: bool,
    /// Whether its last run ended without VirtualBox ending it.
    pub(crate) aborted: bool,
    pub(crate) extra: BTreeMap<String, String>,
    /// Ports of this host that lead into its first card, by their names.
    pub(crate) forwards: BTreeMap<String, u16>,
    pub(crate) snapshots: Vec<Snapshot>,
    /// The card that is being read.
    slot: String,
}

/// A snapshot in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) at: Option<Timestamp>,
    /// Whether it holds the memory of a machine that ran.
    pub(crate) running: bool,
    pub(crate) description: String,
}

impl Settings {
    /// Reads a machine's file; nothing where there is none. Blocks.
    pub(crate) fn load(path: &Utf8Path) -> Result<Option<Self>> {
        let Some(text) = files::read(path)? else { return Ok(None) };
        Self::parse(&text).map(Some).map_err(|why| {
            ProviderError::failed(format!("reading {path}"), why).hinted("VirtualBox has to be able to read it as well")
        })
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut reader = Reader::from_str(text);
        let mut settings = Self::default();
        // The elements around the present place.
        let mut around: Vec<String> = Vec::new();
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(element) => {
                    settings.element(&element, &around)?;
                    around.push(name(&element));
                }
                Event::Empty(element) => settings.element(&element, &around)?,
                Event::End(_) => {
                    around.pop();
                }
                Event::Text(text) if around.last().is_some_and(|name| name == "Description") => {
                    let text = text.xml10_content().map_err(|error| error.to_string())?;
                    settings.describe(&text, &around);
                }
                Event::GeneralRef(reference) if around.last().is_some_and(|name| name == "Description") => {
                    let text = match reference.resolve_char_ref().map_err(|error| error.to_string())? {
                        Some(character) => character.to_string(),
                        None => {
                            let name = reference.decode().map_err(|error| error.to_string())?;
                            let known = quick_xml::escape::resolve_predefined_entity(&name);
                            known.ok_or_else(|| format!("it names an unknown entity {name}"))?.to_owned()
                        }
                    };
                    settings.describe(&text, &around);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        if settings.uuid.is_empty() { Err("it describes no machine".to_owned()) } else { Ok(settings) }
    }

    /// Text of a snapshot's description; the machine's own is nobody's here.
    fn describe(&mut self, text: &str, around: &[String]) {
        let of_snapshot = around.iter().rev().nth(1).is_some_and(|name| name == "Snapshot");
        if let Some(snapshot) = self.snapshots.last_mut().filter(|_| of_snapshot) {
            snapshot.description.push_str(text);
        }
    }

    fn element(&mut self, element: &BytesStart<'_>, around: &[String]) -> std::result::Result<(), String> {
        let attributes = attributes(element)?;
        let get = |name: &str| attributes.get(name).cloned().unwrap_or_default();
        let time = |name: &str| attributes.get(name).and_then(|text| text.parse().ok());
        // A snapshot holds the machine's hardware of its time.
        let in_snapshot = around.iter().any(|name| name == "Snapshot");
        match name(element).as_str() {
            "Machine" => {
                self.uuid = get("uuid").trim_matches(['{', '}']).to_owned();
                self.saved = attributes.contains_key("stateFile");
                self.aborted = get("aborted") == "true";
            }
            "ExtraDataItem" if !in_snapshot => {
                self.extra.insert(get("name"), get("value"));
            }
            "Adapter" => self.slot = get("slot"),
            "Forwarding" if !in_snapshot && self.slot == "0" => {
                if let Ok(port) = get("hostport").parse() {
                    self.forwards.insert(get("name"), port);
                }
            }
            "Snapshot" => self.snapshots.push(Snapshot {
                name: get("name"),
                uuid: get("uuid").trim_matches(['{', '}']).to_owned(),
                at: time("timeStamp"),
                running: attributes.contains_key("stateFile"),
                description: String::new(),
            }),
            _ => {}
        }
        Ok(())
    }
}

fn name(element: &BytesStart<'_>) -> String {
    String::from_utf8_lossy(element.local_name().as_ref()).into_owned()
}

fn attributes(element: &BytesStart<'_>) -> std::result::Result<BTreeMap<String, String>, String> {
    element
        .attributes()
        .map(|attribute| {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
            Ok((String::from_utf8_lossy(attribute.key.as_ref()).into_owned(), value.into_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What VirtualBox 7.2.22 has written, without the hardware that nobody reads here.
    const FILE: &str = r#"<?xml version="1.0"?>
<!-- ** DO NOT EDIT THIS FILE. -->
<VirtualBox xmlns="http://www.virtualbox.org/" version="1.19-linux">
  <Machine uuid="{81fe9878-c31c-4729-bac0-d0fad8e48e7c}" name="a1" OSType="Linux_64" stateFile="Snapshots/x.sav" snapshotFolder="Snapshots" lastStateChange="2026-11-28T20:38:02Z">
    <ExtraData>
      <ExtraDataItem name="rig/json" value="{&quot;a&quot;:1,&quot;list&quot;:[&quot;x&quot;,&quot;y&quot;]}&#10;line2"/>
    </ExtraData>
    <Snapshot uuid="{b11d1c93-bd8f-4d03-a66c-94de307cbb6f}" name="s1" timeStamp="2026-11-28T20:32:05Z">
      <Description>{"digest": "a &amp; b"}
second line &#x3C;</Description>
      <Hardware>
        <Network><Adapter slot="0"><NAT><Forwarding name="old" proto="1" hostport="1" guestport="22"/></NAT></Adapter></Network>
      </Hardware>
      <Snapshots>
        <Snapshot uuid="{1c40ef7e-afd3-4044-a7b7-f9c070317b48}" name="s2" timeStamp="2026-11-28T20:33:05Z" stateFile="Snapshots/y.sav"/>
      </Snapshots>
    </Snapshot>
    <Hardware>
      <Network>
        <Adapter slot="0" enabled="true" MACAddress="080027EDB44C" type="82540EM">
          <NAT localhost-reachable="true">
            <Forwarding name="rig-ssh" proto="1" hostip="127.0.0.1" hostport="22101" guestport="22"/>
          </NAT>
        </Adapter>
      </Network>
    </Hardware>
  </Machine>
</VirtualBox>
"#;

    #[test]
    fn what_is_needed_is_read() {
        let settings = Settings::parse(FILE).unwrap();
        assert_eq!(settings.uuid, "81fe9878-c31c-4729-bac0-d0fad8e48e7c");
        assert!(settings.saved && !settings.aborted);
        assert_eq!(settings.extra["rig/json"], "{\"a\":1,\"list\":[\"x\",\"y\"]}\nline2");
        assert_eq!(settings.forwards, BTreeMap::from([("rig-ssh".to_owned(), 22101)]));
        let [first, second] = &settings.snapshots[..] else { panic!("{:?}", settings.snapshots) };
        assert_eq!((first.name.as_str(), first.running), ("s1", false));
        assert_eq!(first.description, "{\"digest\": \"a & b\"}\nsecond line <");
        assert_eq!((second.name.as_str(), second.running, second.description.as_str()), ("s2", true, ""));
    }

    #[test]
    fn a_machine_that_was_killed_is_aborted() {
        let text =
            FILE.replace("stateFile=\"Snapshots/x.sav\" ", "").replace("20:38:02Z\">", "20:38:02Z\" aborted=\"true\">");
        let settings = Settings::parse(&text).unwrap();
        assert!(!settings.saved && settings.aborted);
    }

    #[test]
    fn what_is_no_settings_file_is_said() {
        for text in ["", "nothing", "<VirtualBox/>", "<VirtualBox><Machine uuid=\"{x}\"", "<a b=c/>"] {
            assert!(Settings::parse(text).is_err(), "{text}");
        }
    }
}
