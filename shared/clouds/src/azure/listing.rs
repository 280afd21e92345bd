//! Pages of blobs.

use callvault_pipeline::archive::{ArchiveError, Listed};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::Method;
use serde::Deserialize;

use super::AzureArchive;
use crate::wire::Call;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    blobs: Blobs,
    next_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blobs {
    #[serde(default)]
    blob: Vec<Blob>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blob {
    name: String,
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "Content-Length", default)]
    bytes: u64,
    /// `directory` where the account has a hierarchical namespace: those are no blobs of anybody's.
    #[serde(rename = "ResourceType")]
    kind: Option<String>,
}

impl AzureArchive {
    /// List Blobs: those whose names begin with `prefix`.
    pub(super) fn page(&self, prefix: &str, marker: Option<&str>) -> Call {
        let call = Call::new(Method::GET, self.base.clone()).query("restype", "container").query("comp", "list");
        let call = if prefix.is_empty() { call } else { call.query("prefix", prefix) };
        match marker {
            Some(marker) => call.query("marker", marker),
            None => call,
        }
    }

    /// Every object below a folder.
    pub(super) fn listed(&self, folder: &str) -> BoxStream<'static, Result<Listed, ArchiveError>> {
        let (archive, within) = (self.clone(), format!("{}{folder}", self.prefix));
        let pages = stream::unfold(Some(None::<String>), move |marker| {
            let (archive, within) = (archive.clone(), within.clone());
            async move {
                let marker = marker?;
                let (listed, next) = match archive.read_page(&within, marker.as_deref()).await {
                    // A marker that comes again would go round for ever.
                    Ok((_, Some(next))) if Some(&next) == marker.as_ref() => {
                        let detail = format!("List Blobs {}: the same marker twice", archive.place());
                        (vec![Err(ArchiveError::Failed { detail })], None)
                    }
                    Ok((listed, next)) => (listed.into_iter().map(Ok).collect(), next.map(Some)),
                    Err(error) => (vec![Err(error)], None),
                };
                Some((stream::iter(listed), next))
            }
        });
        pages.flatten().boxed()
    }

    async fn read_page(
        &self,
        prefix: &str,
        marker: Option<&str>,
    ) -> Result<(Vec<Listed>, Option<String>), ArchiveError> {
        let target = self.place();
        let answer = self.ask("List Blobs", &target, &self.page(prefix, marker)).await?;
        if !answer.is_success() {
            return Err(self.refused("List Blobs", &target, &answer));
        }
        let unreadable =
            || ArchiveError::Failed { detail: format!("List Blobs {target}: an answer that cannot be read") };
        let text = std::str::from_utf8(&answer.body).map_err(|_| unreadable())?.trim_start_matches('\u{feff}');
        let page: Page = quick_xml::de::from_str(text).map_err(|_| unreadable())?;
        let listed = page.blobs.blob.into_iter().filter(|blob| blob.properties.kind.as_deref() != Some("directory"));
        let listed = listed.filter_map(|blob| {
            let key = blob.name.strip_prefix(&self.prefix)?.parse().ok()?;
            Some(Listed { key, bytes: blob.properties.bytes })
        });
        Ok((listed.collect(), page.next_marker.filter(|marker| !marker.is_empty())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_as_azure_writes_them() {
        let text = r#"<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://a/" ContainerName="c">
            <Prefix>p/</Prefix><Blobs>
            <Blob><Name>p/d</Name><Properties><ResourceType>directory</ResourceType><Content-Length>0</Content-Length></Properties></Blob>
            <Blob><Name>p/d/x.ogg</Name><Properties><Content-Length>17</Content-Length><Etag>0x8</Etag></Properties><OrMetadata/></Blob>
            </Blobs><NextMarker>2!x</NextMarker></EnumerationResults>"#;
        let page: Page = quick_xml::de::from_str(text).unwrap();
        assert_eq!(page.next_marker.as_deref(), Some("2!x"));
        assert_eq!((page.blobs.blob[1].name.as_str(), page.blobs.blob[1].properties.bytes), ("p/d/x.ogg", 17));
        assert_eq!(page.blobs.blob[0].properties.kind.as_deref(), Some("directory"));
        let empty = "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>";
        let page: Page = quick_xml::de::from_str(empty).unwrap();
        assert!(page.blobs.blob.is_empty() && page.next_marker.is_none_or(|marker| marker.is_empty()));
    }
}
