use crate::harness::refused;
use shadernet::ops::Concat;

#[test]
fn what_it_refuses() {
    assert!(refused(&[], Concat::new(0)).contains("at least one"));
    assert!(refused(&[&[2, 3]], Concat::new(2)).contains("a dimension of [2, 3]"));
    assert!(refused(&[&[2, 3], &[2, 4]], Concat::new(0)).contains("input 1"));
    assert!(refused(&[&[2, 3], &[2, 3, 1]], Concat::new(0)).contains("input 1"));
    assert!(refused(&[&[1; 9], &[1; 9]], Concat::new(0)).contains("9 dimensions"));
}
