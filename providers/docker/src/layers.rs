//! The layers of images and their sizes.
//!
//! An inspection of an image names its layers without sizes; its history has sizes without saying which entries are layers.
//! Only both together tell what each layer takes.

use bollard::models::ImageHistoryResponseItem;
use rig_model::Bytes;
use rig_provider_api::LayerUsage;
use std::collections::HashMap;

/// The diff id of a layer in which nothing is: of an archive of two empty blocks. `BuildKit` makes it for a folder that was
/// there already.
const EMPTY: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// The instructions of a Dockerfile that write no files.
const CONFIGURING: [&str; 13] = [
    "ARG",
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
];

/// An image as the engine tells of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    /// The diff ids of its layers, the lowest first.
    pub(crate) layers: Vec<String>,
    /// All of them together, in bytes.
    pub(crate) size: i64,
    /// How it came to be, the newest first.
    pub(crate) history: Vec<ImageHistoryResponseItem>,
}

/// The layers of all images with their sizes, in the same order.
///
/// Where an image's history does not tell its layers apart, those that it has beyond the largest image whose layers begin it
/// are taken together, as the difference of both images' sizes.
pub(crate) fn sizes(images: &[Image]) -> Vec<Vec<LayerUsage>> {
    // Beginnings of images whose layers are known.
    let mut known: HashMap<&[String], Vec<LayerUsage>> = HashMap::new();
    let exact: Vec<_> = images.iter().map(told).collect();
    for (image, layers) in images.iter().zip(&exact) {
        let Some(layers) = layers else { continue };
        for end in 1..=layers.len() {
            known.insert(&image.layers[..end], layers[..end].to_vec());
        }
    }
    let mut vague: Vec<_> = images.iter().zip(&exact).filter(|(_, layers)| layers.is_none()).collect();
    // A parent comes before its children.
    vague.sort_by_key(|(image, _)| image.layers.len());
    for (image, _) in vague {
        let mut layers =
            (0..=image.layers.len()).rev().find_map(|end| known.get(&image.layers[..end]).cloned()).unwrap_or_default();
        let below: u64 = layers.iter().map(|layer| layer.bytes.0).sum();
        if let Some(top) = image.layers.last()
            && !known.contains_key(image.layers.as_slice())
        {
            layers.push(LayerUsage { id: top.clone(), bytes: Bytes(bytes(image.size).saturating_sub(below)) });
            known.insert(&image.layers, layers);
        }
    }
    images.iter().map(|image| known.get(image.layers.as_slice()).cloned().unwrap_or_default()).collect()
}

/// The layers of an image as its history tells them; `None` when it leaves a doubt.
fn told(image: &Image) -> Option<Vec<LayerUsage>> {
    let oldest_first = || image.history.iter().rev();
    let full = || oldest_first().filter(|entry| entry.size > 0).map(|entry| bytes(entry.size));
    let held = image.layers.iter().filter(|id| *id != EMPTY).count();
    // Whatever has a size is a layer. When as many layers have something in them, there are no others.
    if full().count() == held {
        let mut full = full();
        let mut size = |id: &String| if id == EMPTY { Some(0) } else { full.next() };
        return image.layers.iter().map(|id| Some(layer(id, size(id)?))).collect();
    }
    // Otherwise there are layers without a byte in files, such as a new folder. When as many entries can be layers as there
    // are layers, all of them are.
    let possible = || oldest_first().filter(|entry| entry.size > 0 || !configures(&entry.created_by));
    (possible().count() == image.layers.len())
        .then(|| image.layers.iter().zip(possible()).map(|(id, entry)| layer(id, bytes(entry.size))).collect())
}

fn layer(id: &str, size: u64) -> LayerUsage {
    LayerUsage { id: id.to_owned(), bytes: Bytes(size) }
}

/// A size of the engine's, which is negative where it knows none.
pub(crate) fn bytes(size: i64) -> u64 {
    u64::try_from(size).unwrap_or_default()
}

/// Whether an instruction changes an image's configuration alone. Only what surely does is named: everything else, written by
/// whatever tool, may be a layer.
fn configures(instruction: &str) -> bool {
    // The classic builder writes `/bin/sh -c #(nop)  ENV …`.
    let text = instruction.strip_prefix("/bin/sh -c #(nop)").unwrap_or(instruction);
    let word = text.split_whitespace().next().unwrap_or_default();
    CONFIGURING.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(created_by: &str, size: i64) -> ImageHistoryResponseItem {
        ImageHistoryResponseItem { created_by: created_by.to_owned(), size, ..Default::default() }
    }

    /// An image; its history is given the oldest first.
    fn image(layers: &[&str], history: &[(&str, i64)]) -> Image {
        Image {
            layers: layers.iter().map(|id| (*id).to_owned()).collect(),
            size: history.iter().map(|(_, size)| size).sum(),
            history: history.iter().rev().map(|(by, size)| entry(by, *size)).collect(),
        }
    }

    fn short(layers: &[LayerUsage]) -> Vec<(&str, u64)> {
        layers.iter().map(|layer| (layer.id.as_str(), layer.bytes.0)).collect()
    }

    const BASE: (&str, i64) = ("", 100);

    #[test]
    fn entries_with_a_size_are_the_layers() {
        let child = image(
            &["base", "copied", EMPTY],
            &[BASE, ("CMD [\"x\"]", 0), ("COPY a b # buildkit", 7), ("WORKDIR /b", 0)],
        );
        let sizes = sizes(&[image(&["base"], &[BASE]), child]);
        assert_eq!(short(&sizes[0]), [("base", 100)]);
        assert_eq!(short(&sizes[1]), [("base", 100), ("copied", 7), (EMPTY, 0)]);
    }

    #[test]
    fn a_new_folder_is_a_layer_of_no_bytes() {
        let folder = image(
            &["base", "folder", "copied"],
            &[BASE, ("ENV A=1", 0), ("WORKDIR /new", 0), ("COPY a b # buildkit", 7), ("USER 1", 0)],
        );
        assert_eq!(short(&sizes(&[folder])[0]), [("base", 100), ("folder", 0), ("copied", 7)]);
        let classic = image(
            &["base", "folder", "run"],
            &[BASE, ("/bin/sh -c #(nop) WORKDIR /new", 0), ("/bin/sh -c #(nop)  ENV A=1", 0), ("/bin/sh -c ls", 3)],
        );
        assert_eq!(short(&sizes(&[classic])[0]), [("base", 100), ("folder", 0), ("run", 3)]);
    }

    #[test]
    fn what_the_history_does_not_tell_is_taken_together() {
        // Two steps without a byte, of which only one made a layer.
        let vague = [BASE, ("RUN true # buildkit", 0), ("WORKDIR /new", 0), ("COPY a b # buildkit", 7)];
        let parent = image(&["base", "one", "two"], &vague);
        let child = image(&["base", "one", "two", "three", "four"], &[vague.as_slice(), &[("", 20), ("", 0)]].concat());
        let sizes = sizes(&[child, image(&["base"], &[BASE]), parent]);
        assert_eq!(short(&sizes[0]), [("base", 100), ("two", 7), ("four", 20)]);
        assert_eq!(short(&sizes[2]), [("base", 100), ("two", 7)]);
    }

    #[test]
    fn an_image_of_nothing_has_no_layers() {
        assert_eq!(sizes(&[image(&[], &[("CMD", 0)])]), [[]]);
    }
}
