//! Items in the order of their last use: a doubly linked list in one vector.

/// A list whose front was used last.
#[derive(Debug)]
pub(crate) struct Lru<T> {
    nodes: Vec<Node<T>>,
    free: Vec<usize>,
    /// `NONE` if it is empty.
    front: usize,
    back: usize,
}

#[derive(Debug)]
struct Node<T> {
    /// `None` if the place is free.
    item: Option<T>,
    before: usize,
    after: usize,
}

const NONE: usize = usize::MAX;

impl<T> Lru<T> {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            free: Vec::new(),
            front: NONE,
            back: NONE,
        }
    }

    /// Puts an item to the front, and tells its place, which stays.
    pub(crate) fn insert(&mut self, item: T) -> usize {
        let node = Node {
            item: Some(item),
            before: NONE,
            after: NONE,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at] = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        self.link_front(at);
        at
    }

    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.nodes.get_mut(at)?.item.as_mut()
    }

    /// Moves an item to the front.
    pub(crate) fn touch(&mut self, at: usize) {
        if self.front != at {
            self.unlink(at);
            self.link_front(at);
        }
    }

    pub(crate) fn remove(&mut self, at: usize) -> Option<T> {
        let item = self.nodes.get_mut(at)?.item.take()?;
        self.unlink(at);
        self.free.push(at);
        Some(item)
    }

    /// Takes out the item that was not used for longest.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.remove(self.back)
    }

    fn link_front(&mut self, at: usize) {
        self.nodes[at].before = NONE;
        self.nodes[at].after = self.front;
        match self.front {
            NONE => self.back = at,
            front => self.nodes[front].before = at,
        }
        self.front = at;
    }

    fn unlink(&mut self, at: usize) {
        let (before, after) = (self.nodes[at].before, self.nodes[at].after);
        match before {
            NONE => self.front = after,
            before => self.nodes[before].after = after,
        }
        match after {
            NONE => self.back = before,
            after => self.nodes[after].before = before,
        }
    }
}
