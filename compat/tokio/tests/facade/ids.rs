//! What tells runtimes and sets apart.

use std::collections::HashSet;

use tokio::runtime::Builder;
use tokio::task::LocalSet;

#[test]
fn a_set_has_an_id_of_its_own_that_stays() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let sets: Vec<LocalSet> = (0..8).map(|_| LocalSet::new()).collect();
    let mut ids: HashSet<_> = sets.iter().map(LocalSet::id).collect();
    ids.insert(runtime.handle().id());
    assert_eq!(ids.len(), 9);
    for set in sets {
        let before = set.id();
        let moved = Box::new(set);
        assert_eq!(moved.id(), before);
        assert!(ids.contains(&before));
    }
}
