//! What a page of the guide holds that can be wrong: blocks of code, code within a sentence, links and headings.

use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A page, taken apart.
#[derive(Debug, Default)]
pub struct Page {
    /// Its path below the workspace.
    pub file: PathBuf,
    /// Blocks of code, in order.
    pub blocks: Vec<Block>,
    /// Code within sentences and tables, each with its line.
    pub spans: Vec<(usize, String)>,
    /// Where links and pictures lead, each with its line.
    pub links: Vec<(usize, String)>,
    /// What a link may name behind `#`.
    pub anchors: Vec<String>,
}

/// A block of code.
#[derive(Debug)]
pub struct Block {
    /// The page's line on which it begins.
    pub line: usize,
    /// What stands behind the fence; none of a block that is only indented.
    pub language: Option<String>,
    /// Its lines.
    pub text: String,
}

impl Page {
    /// Reads a file of the workspace.
    pub fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(super::workspace().join(file));
        Self::parse(
            file,
            &text.unwrap_or_else(|error| panic!("{}: {error}", file.display())),
        )
    }

    /// Takes a text apart.
    pub fn parse(file: &Path, text: &str) -> Self {
        let mut page = Self {
            file: file.to_owned(),
            ..Self::default()
        };
        let mut heading: Option<String> = None;
        let mut in_block = false;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            let line = text[..range.start].matches('\n').count() + 1;
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    in_block = true;
                    page.blocks.push(Block {
                        line,
                        language: match kind {
                            CodeBlockKind::Fenced(language) => Some(language.to_string()),
                            CodeBlockKind::Indented => None,
                        },
                        text: String::new(),
                    });
                }
                Event::End(TagEnd::CodeBlock) => in_block = false,
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.anchors.extend(heading.take().map(|text| anchor(&text))),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((line, dest_url.to_string()));
                }
                Event::Text(words) if in_block => {
                    if let Some(block) = page.blocks.last_mut() {
                        block.text.push_str(&words);
                    }
                }
                Event::Text(words) => heading.iter_mut().for_each(|text| text.push_str(&words)),
                Event::Code(code) => {
                    heading.iter_mut().for_each(|text| text.push_str(&code));
                    page.spans.push((line, code.to_string()));
                }
                _ => {}
            }
        }
        page
    }

    /// What is wrong on one of its lines.
    pub fn problem(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.file.display())
    }
}

/// How a heading is named in links.
fn anchor(heading: &str) -> String {
    let letters = heading.to_lowercase();
    let kept = letters
        .chars()
        .filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.map(|char| if char == ' ' { '-' } else { char }).collect()
}
