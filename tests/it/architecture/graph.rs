//! Which file uses which: paths are followed through re-exports to the file that defines the item.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::source::{Import, Segments, Source};

/// The product's modules.
pub(super) struct Modules {
    modules: BTreeMap<Segments, (PathBuf, Source)>,
}

/// A file uses another through this path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Edge {
    pub(super) to: PathBuf,
    pub(super) path: String,
}

/// More re-exports than any path has.
const MAX_REEXPORTS: usize = 16;

impl Modules {
    pub(super) fn new(modules: BTreeMap<Segments, (PathBuf, Source)>) -> Self {
        Self { modules }
    }

    /// For each module: its file, and the absolute paths that it names, as they are written.
    pub(super) fn written_paths(&self) -> impl Iterator<Item = (&Segments, &PathBuf, BTreeSet<Segments>)> {
        self.modules.iter().map(|(module, (file, source))| {
            let imports = source.imports.iter().map(|import| &import.path);
            let paths = imports.chain(&source.paths).filter_map(|path| self.absolute(module, path));
            (module, file, paths.collect())
        })
    }

    /// For each file, the files that define what it uses.
    pub(super) fn file_graph(&self) -> BTreeMap<PathBuf, BTreeSet<Edge>> {
        let mut graph: BTreeMap<PathBuf, BTreeSet<Edge>> = BTreeMap::new();
        for (module, (file, source)) in &self.modules {
            let edges = graph.entry(file.clone()).or_default();
            // A re-export alone is no use.
            let imports = source.imports.iter().filter(|i| !i.is_public || source.words.contains(&i.name));
            for path in imports.map(|import| &import.path).chain(&source.paths) {
                let Some(absolute) = self.absolute(module, path) else { continue };
                let Some(to) = self.definition(&absolute, MAX_REEXPORTS) else { continue };
                let to = self.modules[&to].0.clone();
                if to != *file {
                    edges.insert(Edge { to, path: path.join("::") });
                }
            }
        }
        graph
    }

    /// A path as seen from the crate's root; `None` for other crates.
    fn absolute(&self, module: &Segments, path: &[String]) -> Option<Segments> {
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" | "vestibule" => Segments::new(),
            "self" => module.clone(),
            "super" => {
                let ups = path.iter().take_while(|segment| *segment == "super").count();
                let mut base = module[..module.len().saturating_sub(ups)].to_vec();
                base.extend_from_slice(&path[ups..]);
                return Some(base);
            }
            _ => {
                let mut child = module.clone();
                child.push(first.clone());
                if !self.modules.contains_key(&child) {
                    return None;
                }
                child
            }
        };
        base.extend_from_slice(rest);
        Some(base)
    }

    /// The module whose file defines the item at an absolute path.
    fn definition(&self, path: &[String], reexports: usize) -> Option<Segments> {
        let mut module = Segments::new();
        for (at, segment) in path.iter().enumerate() {
            let mut child = module.clone();
            child.push(segment.clone());
            if self.modules.contains_key(&child) {
                module = child;
                continue;
            }
            let source = &self.modules.get(&module)?.1;
            if reexports == 0 || source.items.contains(segment) {
                return Some(module);
            }
            let follow = |import: &Import, rest: &[String]| {
                let mut target = self.absolute(&module, &import.path)?;
                target.extend_from_slice(rest);
                self.definition(&target, reexports - 1)
            };
            if let Some(import) = source.imports.iter().find(|import| import.name == *segment) {
                // An item of another crate is used without its re-export's file.
                return follow(import, &path[at + 1..]);
            }
            let globs = source.imports.iter().filter(|import| import.name == "*");
            let defines = |module: &Segments| self.modules[module].1.items.contains(segment);
            let found = globs.filter_map(|glob| follow(glob, &path[at..])).find(defines);
            return found.or(Some(module));
        }
        self.modules.contains_key(&module).then_some(module)
    }
}

/// The groups of files that use each other in circles: the strongly connected components of more than one file.
pub(super) fn circles(graph: &BTreeMap<PathBuf, BTreeSet<Edge>>) -> Vec<BTreeSet<PathBuf>> {
    let reachable: BTreeMap<_, _> = graph.keys().map(|file| (file, reachable_from(graph, file))).collect();
    let mut circles: Vec<BTreeSet<PathBuf>> = Vec::new();
    for (file, reached) in &reachable {
        let circle: BTreeSet<_> = reached
            .iter()
            .filter(|other| reachable.get(other).is_some_and(|back| back.contains(*file)))
            .cloned()
            .collect();
        if circle.len() > 1 && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

fn reachable_from(graph: &BTreeMap<PathBuf, BTreeSet<Edge>>, file: &PathBuf) -> BTreeSet<PathBuf> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![file]);
    while let Some(next) = open.pop() {
        for edge in graph.get(next).into_iter().flatten() {
            if reached.insert(edge.to.clone()) {
                open.push(&edge.to);
            }
        }
    }
    reached
}
