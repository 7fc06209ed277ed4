//! Work that waits for a batch, in the groups that it came in: nothing of it is moved before it is taken.

use std::collections::VecDeque;
use std::vec::IntoIter;

use crate::pipeline::work::{Group, Work};

#[derive(Debug, Default)]
pub(super) struct Pending {
    /// None of them is empty.
    groups: VecDeque<IntoIter<Work>>,
    count: usize,
}

impl Pending {
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn push(&mut self, group: Group) {
        if !group.is_empty() {
            self.count += group.len();
            self.groups.push_back(group.into_iter());
        }
    }

    /// The oldest.
    pub(super) fn take(&mut self) -> Option<Work> {
        let group = self.groups.front_mut()?;
        let work = group.next().expect("no group is empty");
        if group.as_slice().is_empty() {
            self.groups.pop_front();
        }
        self.count -= 1;
        Some(work)
    }

    /// The oldest, where it lies.
    pub(super) fn oldest(&self) -> Option<&Work> {
        self.groups.front()?.as_slice().first()
    }

    /// The oldest, if it is of this kind.
    pub(super) fn take_if(&mut self, is: impl FnOnce(&Work) -> bool) -> Option<Work> {
        if is(self.oldest()?) { self.take() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_comes_out_in_its_order_and_marks_when_they_are_first() {
        let mut pending = Pending::default();
        pending.push(vec![Work::Processed(1), Work::Stop]);
        pending.push(Vec::new());
        pending.push(vec![Work::Processed(2)]);
        assert_eq!(pending.len(), 3);
        let mark = |work: &Work| matches!(work, Work::Processed(_));
        assert!(matches!(pending.take_if(mark), Some(Work::Processed(1))));
        assert!(pending.take_if(mark).is_none());
        assert!(matches!(pending.take(), Some(Work::Stop)));
        assert!(matches!(pending.take(), Some(Work::Processed(2))));
        assert!(pending.is_empty() && pending.take().is_none());
    }
}
