fn main() {
    let arg = std::env::args().nth(1).unwrap();
    let out = std::env::args().nth(2).unwrap();
    let text = if arg == "scp" {
        include_str!("../../../spec/formats/scp.yaml").to_owned()
    } else {
        std::fs::read_to_string(&arg).unwrap()
    };
    let spec = blobspec::Spec::load(&arg, text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    let t = std::time::Instant::now();
    let suite =
        harness_generate::generate(&spec, &Default::default()).unwrap_or_else(|e| panic!("{e}"));
    eprintln!("{} vectors in {:?}", suite.vectors.len(), t.elapsed());
    for l in blobspec::lint::lint(&spec) {
        eprintln!("{l:?}");
    }
    for f in harness_generate::findings(&spec, &suite) {
        eprintln!("{f:?}");
    }
    std::fs::create_dir_all(&out).unwrap();
    for (n, t) in harness_generate::files::files(&suite) {
        std::fs::write(format!("{out}/{n}"), t).unwrap();
    }
}
