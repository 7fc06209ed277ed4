//! Whether the other end is still there.

use crate::Moment;

/// Milliseconds of silence after which it is asked.
pub(crate) const SILENCE: u64 = 60_000;
/// Milliseconds that its answer may take.
pub(crate) const PATIENCE: u64 = 20_000;

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing.
    Nothing,
    /// Ask.
    Ask,
    /// It has not answered.
    Gone,
}

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keepalive {
    heard: Moment,
    asked: Option<(Moment, [u8; 8])>,
}

impl Keepalive {
    pub(crate) const fn new(now: Moment) -> Self {
        Self {
            heard: now,
            asked: None,
        }
    }

    /// Something came. Only the answer ends a question: other messages may have been on their way.
    pub(crate) const fn heard(&mut self, now: Moment) {
        self.heard = now;
    }

    /// A ping's answer came; false if nobody asked for it.
    pub(crate) fn answered(&mut self, token: [u8; 8], now: Moment) -> bool {
        self.heard(now);
        let expected = self.asked.take_if(|(_, asked)| *asked == token);
        expected.is_some()
    }

    /// What is due now. After [`Due::Ask`] the caller sends the token.
    pub(crate) fn due(&mut self, now: Moment, token: [u8; 8]) -> Due {
        match self.asked {
            Some((asked, _)) if now.since(asked) >= PATIENCE => Due::Gone,
            Some(_) => Due::Nothing,
            None if now.since(self.heard) >= SILENCE => {
                self.asked = Some((now, token));
                Due::Ask
            }
            None => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_asked_about_and_only_the_answer_counts() {
        let at = |millis| Moment::new(millis);
        let mut alive = Keepalive::new(at(0));
        assert_eq!(alive.due(at(59_999), [1; 8]), Due::Nothing);
        alive.heard(at(59_999));
        assert_eq!(alive.due(at(60_000), [1; 8]), Due::Nothing);
        assert_eq!(alive.due(at(119_999), [1; 8]), Due::Ask);
        alive.heard(at(120_500));
        assert!(!alive.answered([2; 8], at(121_000)), "another question's answer");
        assert_eq!(alive.due(at(139_998), [3; 8]), Due::Nothing);
        assert_eq!(alive.due(at(139_999), [3; 8]), Due::Gone);
        assert!(alive.answered([1; 8], at(139_999)));
        assert!(!alive.answered([1; 8], at(139_999)), "it was answered before");
        assert_eq!(alive.due(at(139_999), [4; 8]), Due::Nothing);
    }
}
