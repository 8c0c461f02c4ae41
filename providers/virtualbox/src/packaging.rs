//! Machines as boxes: VirtualBox exports them, with the disks that theirs lie over; what is this host's or rig's is left out of the
//! description.

use crate::{provider::VirtualBoxProvider, runner::words};
use async_trait::async_trait;
use camino::Utf8Path;
use quick_xml::{
    Reader, Writer,
    events::{BytesStart, Event},
};
use rig_hypervisor::files;
use rig_model::{MachineState, Progress};
use rig_provider_api::{Context, MachineRef, PackagedFiles, Packaging, ProviderError, Result};

/// What boxes for VirtualBox say that they are made for, and the name of their description.
const KIND: &str = "virtualbox";
const OVF: &str = "box.ovf";

#[async_trait]
impl Packaging for VirtualBoxProvider {
    async fn check(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("exporting machine {machine}");
        if !self.there(cx, &doing, machine).await?.label.is_some_and(|label| label.seeded) {
            return Ok(());
        }
        let why = "it reads from a disk of rig's who it is, and boxes for others know that by themselves";
        Err(ProviderError::failed(doing, why)
            .hinted("make the machine of a `stored` box; the box of this one is made of its lines in the file"))
    }

    async fn package(&self, cx: &Context, machine: &MachineRef, folder: &Utf8Path) -> Result<PackagedFiles> {
        let doing = format!("exporting machine {machine}");
        let place = self.there(cx, &doing, machine).await?.place;
        let _of_machine = self.hold(cx, &doing, &place).await?;
        self.check(cx, machine).await?;
        let found = self.there(cx, &doing, machine).await?;
        let registry = self.recent(cx).await?;
        match found.state(&registry) {
            Some(MachineState::Created | MachineState::Exited) => {}
            state => {
                let state = state.unwrap_or(MachineState::Dead);
                return Err(ProviderError::failed(doing, format!("it is {state}")).hinted("halt it first"));
            }
        }
        cx.progress(Progress::step("exporting its disks"));
        let ovf = folder.join(OVF);
        let export = words(["export", &found.identity, "--output", ovf.as_str(), "--ovf20"]);
        self.runner.run_patiently(cx, &doing, &export).await?;
        let work = files::blocking(&doing, move || {
            let text = files::read(&ovf)?.unwrap_or_default();
            let failed = |why: String| ProviderError::failed(format!("reading {ovf}"), why);
            let (text, mac) = without_host(&text).map_err(failed)?;
            files::write(&ovf, text.as_bytes())?;
            Ok(mac)
        });
        Ok(PackagedFiles { kind: KIND, mac: cx.run(&doing, work).await?, disk: None })
    }
}

/// A machine's description without what would be wrong on another host: ways in, shared folders, files that serial ports write to,
/// and what rig notes of its own machines. Gives the address of the first card as well.
fn without_host(text: &str) -> std::result::Result<(String, Option<String>), String> {
    let failed = |error: quick_xml::Error| error.to_string();
    let mut reader = Reader::from_str(text);
    let mut writer = Writer::new(Vec::new());
    let mut mac = None;
    // How deep inside something that is left out.
    let mut left_out = 0_usize;
    loop {
        let event = reader.read_event().map_err(failed)?;
        match &event {
            Event::Eof => break,
            Event::Start(element) if left_out > 0 || is_of_host(element) => {
                left_out += 1;
                continue;
            }
            Event::End(_) if left_out > 0 => {
                left_out -= 1;
                continue;
            }
            Event::Empty(element) if is_of_host(element) => continue,
            _ if left_out > 0 => continue,
            Event::Start(element) | Event::Empty(element) if mac.is_none() && is_first_card(element) => {
                mac = attribute(element, "MACAddress");
            }
            _ => {}
        }
        writer.write_event(event).map_err(|error| error.to_string())?;
    }
    let text = String::from_utf8(writer.into_inner()).map_err(|error| error.to_string())?;
    Ok((text, mac))
}

fn is_of_host(element: &BytesStart<'_>) -> bool {
    match name(element).as_str() {
        "Forwarding" | "SharedFolder" | "UART" => true,
        "ExtraDataItem" => attribute(element, "name").is_some_and(|name| name.starts_with("rig/")),
        _ => false,
    }
}

fn is_first_card(element: &BytesStart<'_>) -> bool {
    name(element) == "Adapter" && attribute(element, "slot").as_deref() == Some("0")
}

/// The name of an element, without the name space that VirtualBox puts before some (`vbox:Machine`).
fn name(element: &BytesStart<'_>) -> String {
    String::from_utf8_lossy(element.local_name().as_ref()).into_owned()
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = element.try_get_attribute(name).ok().flatten()?;
    Some(String::from_utf8_lossy(&attribute.value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_this_host_is_left_out() {
        let text = r#"<?xml version="1.0"?>
<Envelope xmlns:vbox="http://www.virtualbox.org/ovf/machine"><VirtualSystem>
<vbox:Machine uuid="{a}" name="m">
<ExtraData><ExtraDataItem name="rig/machine" value="{&quot;x&quot;:1}"/><ExtraDataItem name="GUI/x" value="1"/></ExtraData>
<Hardware><UART><Port slot="0" path="/home/me/console.log" hostMode="RawFile"/></UART>
<Network><Adapter slot="0" enabled="true" MACAddress="080027A1B2C3"><NAT><Forwarding name="rig-ssh" hostport="2222" guestport="22"/></NAT></Adapter>
<Adapter slot="1" MACAddress="080027000000"/></Network>
<SharedFolders><SharedFolder name="a" hostPath="/home/me"/></SharedFolders></Hardware>
</vbox:Machine></VirtualSystem></Envelope>"#;
        let (text, mac) = without_host(text).unwrap();
        assert_eq!(mac.as_deref(), Some("080027A1B2C3"));
        for gone in ["rig/machine", "rig-ssh", "/home/me", "UART", "console.log"] {
            assert!(!text.contains(gone), "{gone} is left in {text}");
        }
        for kept in ["GUI/x", "<NAT>", "</NAT>", "<SharedFolders>", "vbox:Machine", "080027000000"] {
            assert!(text.contains(kept), "{kept} is missing in {text}");
        }
    }

    #[test]
    fn what_is_no_description_is_an_error() {
        assert!(without_host("<a><b></a>").is_err());
    }
}
