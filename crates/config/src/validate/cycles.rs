//! Circles in a graph.

/// So many circles are looked for; who has more is better served by repairing these.
const MOST: usize = 10;

/// Circles of a graph whose node `n` points to `edges[n]`, each as the nodes along it. None is found only when there is none.
pub(crate) fn find(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut circles = Vec::new();
    let mut done = vec![false; edges.len()];
    // Where a node is on the way that is being walked. A walk on the heap: a chain may be as long as the file allows.
    let mut on_way: Vec<Option<usize>> = vec![None; edges.len()];
    for start in 0..edges.len() {
        let mut way: Vec<(usize, usize)> = Vec::new();
        if !done[start] {
            on_way[start] = Some(0);
            way.push((start, 0));
        }
        while let Some((node, next)) = way.last_mut() {
            let Some(target) = edges[*node].get(*next).copied() else {
                done[*node] = true;
                on_way[*node] = None;
                way.pop();
                continue;
            };
            *next += 1;
            if let Some(from) = on_way[target] {
                circles.push(way[from..].iter().map(|(node, _)| *node).collect());
                if circles.len() >= MOST {
                    return circles;
                }
            } else if !done[target] {
                on_way[target] = Some(way.len());
                way.push((target, 0));
            }
        }
    }
    circles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_nothing_else() {
        assert!(find(&[]).is_empty());
        assert!(find(&[vec![1, 2], vec![2], vec![]]).is_empty());
        assert_eq!(find(&[vec![0]]), [vec![0]]);
        assert_eq!(find(&[vec![1], vec![2], vec![1]]), [vec![1, 2]]);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let mut edges: Vec<Vec<usize>> = (1..200_000).map(|next| vec![next]).collect();
        edges.push(vec![0]);
        assert_eq!(find(&edges).len(), 1);
    }
}
