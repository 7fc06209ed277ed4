//! Lists in the canonical encoding: those of `tidegate_channel`, under one name here.

pub(crate) use tidegate_channel::codec::{Canonical, read_count, read_fixed_list, read_list, write_count};
