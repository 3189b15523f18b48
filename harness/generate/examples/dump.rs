fn main() {
    let spec = blobspec::builtin("scp").unwrap().unwrap();
    let t = std::time::Instant::now();
    let suite = match harness_generate::generate(&spec, &Default::default()) {
        Ok(s) => s,
        Err(e) => panic!("{e}"),
    };
    eprintln!("{} vectors in {:?}", suite.vectors.len(), t.elapsed());
    let mut by: std::collections::BTreeMap<String, [usize; 3]> = Default::default();
    for (v, g) in suite.vectors.iter().zip(&suite.groups) {
        let e = by.entry(g.clone()).or_default();
        e[0] += 1;
        e[1] += usize::from(v.expect.rule.is_none());
        e[2] += v.bytes.0.len();
    }
    for (g, n) in by {
        eprintln!("{g:20} {n:?}");
    }
    let mut rules: std::collections::BTreeMap<String, usize> = Default::default();
    for v in &suite.vectors {
        if let Some(r) = &v.expect.rule {
            *rules.entry(r.clone()).or_default() += 1;
        }
    }
    for (r, n) in rules {
        eprintln!("{r:30} {n}");
    }
    let mut ch: std::collections::BTreeMap<String, usize> = Default::default();
    for v in &suite.vectors {
        for (c, rs) in &v.readings {
            for r in rs.keys() {
                *ch.entry(format!("{c}={r}")).or_default() += 1;
            }
        }
    }
    for (r, n) in ch {
        eprintln!("{r:30} {n}");
    }
    for l in blobspec::lint::lint(&spec) { eprintln!("{l:?}"); }
    for f in harness_generate::findings(&spec, &suite) {
        eprintln!("{f:?}");
    }
    for (n, t) in harness_generate::files::files(&suite) {
        eprintln!("{n} {}", t.len());
    }
    if std::env::args().nth(1).is_some() {
        for v in &suite.vectors {
            println!("{} {:?} {:?}", v.id, v.expect.stages, v.rule);
        }
    }
}
