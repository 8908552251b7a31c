//! A list of routers, as a file or a server has it. The first byte chooses its format.

#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use perijove::config::Source;
use perijove::fleet::document::{self, Format, Keep};
use perijove::fleet::list::{self, List};

const BYTES_MAX: usize = 1 << 14;

static LIST: LazyLock<List> = LazyLock::new(|| {
    let settings = "[output.stdout]\n[router_defaults]\nusername = 'a'\n[[routers]]\n\
                    http = 'http://127.0.0.1:1/'\nname_label = 'name'\ntargets_max = 20\n\
                    labels = { site = 'site', rack = 'rack' }\n";
    let config = Source::parse(None, settings.to_string()).into_config();
    config.expect("right settings").lists.remove(0)
});

fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let format = if first & 1 == 0 { Format::Json } else { Format::Yaml };
    let keep = Keep::new(vec!["name", "site", "rack"], BYTES_MAX);
    let Ok(groups) = document::read(text, format, &keep) else { return };
    let texts = groups.iter().flat_map(|group| {
        let labels = group.labels.iter().map(|(name, value)| name.len() + value.len());
        group.targets.iter().map(String::len).chain(labels)
    });
    assert!(texts.sum::<usize>() <= BYTES_MAX);

    let members = LIST.members(&groups);
    let targets: usize = groups.iter().map(|group| group.targets.len()).sum();
    assert_eq!(members.dropped as usize, targets.saturating_sub(LIST.targets_max));
    assert!(members.routers.len() + members.duplicates as usize <= targets.min(LIST.targets_max));
    let names: BTreeSet<&str> = members.routers.iter().map(|router| &*router.name).collect();
    assert_eq!(names.len(), members.routers.len());
    assert!(names.iter().all(|name| !name.is_empty() && name.len() <= 253));
    let count = members.routers.len();
    let all = list::union(&[], [members].into_iter(), |_, _, again, _| assert_eq!(again, 0));
    assert_eq!(all.len(), count);
});
