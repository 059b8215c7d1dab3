//! The starter world: facts, grammar, corpus, oracle.
