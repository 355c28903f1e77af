//! What was measured, as people and machines see it. The figures are made up: no GPU is needed, and none was measured.

mod compare;
mod drawn;
mod edges;
mod json;
mod page;
mod synthetic;
