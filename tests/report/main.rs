//! Measurements as people and machines see them. The figures are made up: they need no GPU.

mod compare;
mod drawn;
mod edges;
mod json;
mod page;
mod synthetic;
