//! The maps of the loaded object.

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::{Map, MapData, MapError};

/// Takes a map out of the object.
pub(super) fn take<M>(ebpf: &mut Ebpf, name: &str) -> Result<M>
where
    M: TryFrom<Map, Error = MapError>,
{
    M::try_from(taken(ebpf, name)?).with_context(|| format!("the map `{name}` is not of the expected kind"))
}

/// Takes a hash or a trie out of the object, for its elements.
pub(super) fn data(ebpf: &mut Ebpf, name: &str) -> Result<MapData> {
    match taken(ebpf, name)? {
        Map::HashMap(data) | Map::LpmTrie(data) => Ok(data),
        _ => anyhow::bail!("the map `{name}` is not of the expected kind"),
    }
}

fn taken(ebpf: &mut Ebpf, name: &str) -> Result<Map> {
    ebpf.take_map(name)
        .with_context(|| format!("the compiled-in object has no map `{name}`"))
}
