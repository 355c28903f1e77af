//! wgpu's errors about created objects: known at once, or in a browser once a promise resolves.

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The outcome of one creation: an error message, or `None` most of the time.
pub(super) type Check = Shared<BoxFuture<'static, Option<String>>>;

/// The checks that haven't passed: pending ones and failed ones.
#[derive(Default)]
pub(crate) struct Checks(Mutex<Vec<Check>>);

impl Checks {
    fn list(&self) -> MutexGuard<'_, Vec<Check>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, check: Check) {
        self.list().push(check);
    }

    /// Returns the first error found so far.
    pub(super) fn found(&self) -> Option<String> {
        let mut found = None;
        self.list().retain(|check| match check.clone().now_or_never() {
            Some(None) => false,
            Some(error) => {
                found = found.take().or(error);
                true
            }
            None => true,
        });
        found
    }

    /// Waits for the checks added so far, and returns the first error.
    pub(super) async fn all(&self) -> Option<String> {
        let checks = self.list().clone();
        futures::future::join_all(checks).await;
        self.found()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::channel::oneshot;

    #[test]
    fn what_is_said_late_is_heard_by_all_who_ask() {
        let checks = Checks::default();
        assert_eq!(checks.all().now_or_never(), Some(None));
        let late = || {
            let (sender, receiver) = oneshot::channel::<Option<String>>();
            checks.add(receiver.map(|said| said.expect("it is sent")).boxed().shared());
            sender
        };
        let (first, second) = (late(), late());
        let (mut one, mut other) = (checks.all().boxed_local(), checks.all().boxed_local());
        assert_eq!((checks.found(), (&mut one).now_or_never(), (&mut other).now_or_never()), (None, None, None));
        first.send(None).expect("somebody listens");
        assert_eq!((checks.found(), (&mut one).now_or_never(), checks.list().len()), (None, None, 1));
        second.send(Some("refused".into())).expect("somebody listens");
        let refused = Some("refused".to_owned());
        assert_eq!((one.now_or_never(), other.now_or_never()), (Some(refused.clone()), Some(refused.clone())));
        // Later callers get the error too.
        assert_eq!((checks.found(), checks.all().now_or_never()), (refused.clone(), Some(refused)));
    }
}
