//! Room for a request's future, used again by the next request on the same thread.
//!
//! hyper keeps the room for a service's future with each connection, idle ones too. Here the future is behind a pointer, so
//! that an idle connection keeps none; and as the room is large, it is not given back to the allocator each time.

use std::{
    any::Any,
    cell::RefCell,
    pin::Pin,
    task::{Context, Poll},
};

/// Rooms kept by one thread: as many as requests are under way at a time on a busy one.
const MOST: usize = 256;

thread_local! {
    /// A `Vec<Room<F>>` of the one `F` that a worker's requests have.
    static FREE: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

type Room<F> = Pin<Box<Option<F>>>;

/// A future in such a room.
pub(super) struct Reused<F: 'static>(Option<Room<F>>);

impl<F: 'static> Reused<F> {
    pub(super) fn new(future: F) -> Self {
        let free = FREE.with_borrow_mut(|free| free.as_mut()?.downcast_mut::<Vec<Room<F>>>()?.pop());
        let mut room = free.unwrap_or_else(|| Box::pin(None));
        room.set(Some(future));
        Self(Some(room))
    }
}

impl<F: Future> Future for Reused<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let room = self.0.as_mut().expect("the room is taken at the end alone");
        room.as_mut().as_pin_mut().expect("the room was filled").poll(cx)
    }
}

impl<F: 'static> Drop for Reused<F> {
    fn drop(&mut self) {
        let Some(mut room) = self.0.take() else { return };
        room.set(None);
        // At the end of a thread there is nowhere to keep it.
        let _ = FREE.try_with(|free| {
            let Ok(mut free) = free.try_borrow_mut() else { return };
            let free = free.get_or_insert_with(|| Box::new(Vec::<Room<F>>::new()));
            if let Some(rooms) = free.downcast_mut::<Vec<Room<F>>>()
                && rooms.len() < MOST
            {
                rooms.push(room);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::Arc,
    };

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_room_is_used_again_and_nothing_of_the_last_one_stays_in_it() {
        let held = Arc::new(());
        let wait = |held: Arc<()>| async move {
            pending::<()>().await;
            drop(held);
        };
        let first = Reused::new(wait(Arc::clone(&held)));
        let place = &raw const **first.0.as_ref().unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        drop(first);
        assert_eq!(Arc::strong_count(&held), 1);
        let second = Reused::new(wait(held));
        assert_eq!(&raw const **second.0.as_ref().unwrap(), place);
        let third = Reused::new(ready(3));
        assert_eq!(third.now_or_never(), Some(3), "another kind of future is none of this list's");
    }

    #[test]
    fn no_more_rooms_are_kept_than_a_busy_thread_needs() {
        let many: Vec<_> = (0..1000).map(|n| Reused::new(ready(n))).collect();
        drop(many);
        let kept = FREE.with_borrow(|free| {
            free.as_ref().unwrap().downcast_ref::<Vec<Room<std::future::Ready<i32>>>>().unwrap().len()
        });
        assert_eq!(kept, MOST);
    }
}
