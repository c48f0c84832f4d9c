//! The file, and what it says of an answer.

use std::collections::BTreeSet;
use std::fs;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::answering::{Answer, Question};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/control.openapi.yaml");

/// What docs/control.openapi.yaml says.
pub(super) struct Description(Value);

impl Description {
    pub(super) fn read() -> Self {
        let text = fs::read_to_string(FILE).unwrap();
        let mut all: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{FILE}: {error}"));
        assert_eq!(all["openapi"], "3.1.0");
        // For clients, more fields may come; here each that there is has to be described.
        for schema in all["components"]["schemas"].as_object_mut().unwrap().values_mut() {
            if schema["type"] == "object" {
                schema["additionalProperties"] = json!(false);
            }
        }
        Self(all)
    }

    /// Each method and path.
    pub(super) fn operations(&self) -> BTreeSet<(String, String)> {
        let paths = self.0["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        });
        all.collect()
    }

    /// Each method, path and status; not what may come anywhere.
    pub(super) fn statuses(&self) -> BTreeSet<(String, String, u16)> {
        let all = self.operations().into_iter().flat_map(|(method, path)| {
            let responses = self.operation(&method, &path)["responses"].as_object().unwrap();
            let statuses = responses.keys().filter_map(|status| status.parse().ok());
            statuses
                .map(move |status| (method.clone(), path.clone(), status))
                .collect::<Vec<_>>()
        });
        all.collect()
    }

    fn operation(&self, method: &str, path: &str) -> &Value {
        &self.0["paths"][path][method.to_lowercase()]
    }

    /// What a reference stands for, or the value itself.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    /// The strings of a list at this place.
    pub(super) fn words(&self, place: &str) -> BTreeSet<String> {
        let list = self.0.pointer(place).and_then(Value::as_array).unwrap();
        list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    /// The keys of what is at this place.
    pub(super) fn keys(&self, place: &str) -> BTreeSet<String> {
        self.0
            .pointer(place)
            .and_then(Value::as_object)
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }

    /// The names of an operation's parameters.
    pub(super) fn parameters(&self, path: &str, method: &str) -> BTreeSet<String> {
        let parameters = self.operation(method, path)["parameters"].as_array().unwrap();
        let name = |parameter| self.resolved(parameter)["name"].as_str().unwrap().to_owned();
        parameters.iter().map(name).collect()
    }

    /// Holds an answer to what is said of it.
    ///
    /// What may come anywhere, as 404, is described with each operation.
    pub(super) fn holds(&self, question: &Question, answer: &Answer) {
        let operation = self.operation(question.method, question.path());
        let anywhere = json!({"$ref": "#/components/responses/Problem"});
        let responses = &operation["responses"];
        let status = answer.status.to_string();
        let response = [&responses[&status], &responses["default"], &anywhere]
            .into_iter()
            .find(|response| !response.is_null())
            .unwrap();
        let Some(content) = self.resolved(response).get("content") else {
            assert_eq!(answer.body, "", "{question:?}: no body is described");
            return;
        };
        let schema = &content[&answer.kind]["schema"];
        assert!(!schema.is_null(), "{question:?}: `{}` is not described", answer.kind);
        let schema = json!({"$ref": schema["$ref"], "components": self.0["components"]});
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        if answer.kind.ends_with("ndjson") {
            answer
                .body
                .lines()
                .for_each(|line| is_valid(&validator, line, question));
        } else {
            is_valid(&validator, &answer.body, question);
        }
        if answer.kind == "application/problem+json" {
            assert_eq!(answer.json()["status"], answer.status);
        }
    }
}

fn is_valid(validator: &Validator, text: &str, question: &Question) {
    let value: Value = serde_json::from_str(text).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        errors.is_empty(),
        "{question:?} is answered by {text}\n{}",
        errors.join("\n")
    );
}
