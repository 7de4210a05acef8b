use proptest::prelude::*;

use super::*;

/// A log being written as the guest does.
#[derive(Default)]
struct Guest {
    now: u64,
    processes: Vec<u8>,
    files: Vec<u8>,
}

impl Guest {
    fn event(&mut self, what: u32, ids: [u32; 4], command: &[&str], folder: Option<&str>) -> &mut Self {
        self.now += 1_000_000;
        let mut message = vec![0; 36];
        message.extend(what.to_le_bytes());
        message.extend(0u32.to_le_bytes());
        message.extend(self.now.to_le_bytes());
        ids.iter().for_each(|id| message.extend(id.to_le_bytes()));
        message.resize(76, 0);
        let command: Vec<u8> = command.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
        let folder_length = folder.map_or(-2, |folder| folder.len() as i64);
        for length in [76, command.len() as i64, folder_length] {
            self.processes.extend(length.to_le_bytes());
        }
        self.processes.extend([message, command, folder.unwrap_or_default().as_bytes().to_vec()].concat());
        self
    }

    fn fork(&mut self, parent: u32, child: u32) -> &mut Self {
        self.event(1, [parent, parent, child, child], &["whatever"], Some("/"))
    }

    fn exec(&mut self, process: u32, command: &[&str]) -> &mut Self {
        self.event(2, [process, process, 0, 0], command, Some("/build"))
    }

    fn file(&mut self, process: u32, path: &str, contents: u8) -> &mut Self {
        self.now += 1_000_000;
        let mut head = vec![0; 20];
        head.extend(process.to_le_bytes());
        head.extend((self.now / 1_000_000_000).to_le_bytes());
        head.extend((self.now % 1_000_000_000).to_le_bytes());
        for length in [7i64, 7, 32] {
            head.extend(length.to_le_bytes());
        }
        head.extend([contents; 32]);
        head.extend((path.len() as i64).to_le_bytes());
        self.files.extend([head, path.as_bytes().to_vec()].concat());
        self
    }

    fn trace(&self) -> Trace {
        Trace::parse(&self.processes, &self.files).unwrap()
    }
}

fn guest() -> Guest {
    Guest::default()
}

fn name(seen: &Option<Seen>) -> String {
    let process = seen.as_ref().and_then(|seen| seen.process.as_ref());
    process.map_or("nobody".to_owned(), |process| {
        let words: Vec<_> = process.command.iter().map(|word| String::from_utf8_lossy(word)).collect();
        words.join(" ")
    })
}

#[test]
fn a_file_belongs_to_the_program_its_process_was_when_it_was_closed() {
    let trace = guest()
        .exec(10, &["sh", "-c", "two\nlines", ""])
        .fork(10, 11)
        .file(11, "/build/by-the-shell", 1)
        .exec(11, &["cc", "a.c"])
        .file(11, "/build/a.out", 2)
        .file(10, "/build/log", 3)
        .file(99, "/build/by-a-stranger", 4)
        .fork(99, 11)
        .file(11, "/build/a-number-used-again", 5)
        .trace();
    let commands: Vec<Option<usize>> = trace.written.iter().map(|written| written.process).collect();
    assert_eq!(commands, [Some(0), Some(1), Some(0), None, None]);
    let shell = &trace.processes[0];
    assert_eq!(shell.command, [b"sh".to_vec(), b"-c".to_vec(), b"two\nlines".to_vec(), Vec::new()]);
    assert_eq!(shell.folder.as_deref(), Some(&b"/build"[..]));
    assert_eq!(trace.last_written(b"/build/log").unwrap().sha256, Some([3; 32]));
}

#[test]
fn a_thread_is_no_process_and_a_file_closed_by_an_execution_nobodys() {
    let mut guest = guest();
    guest.exec(10, &["make"]).event(1, [10, 10, 12, 10], &[], None).file(10, "/build/x", 1);
    guest.exec(10, &["other"]);
    // Within a few instructions of the execution.
    guest.now -= 1_000_000 - 1_000;
    guest.file(10, "/build/y", 2);
    let trace = guest.trace();
    assert_eq!(trace.written[0].process, Some(0));
    assert_eq!(trace.written[1].process, None);
}

#[test]
fn what_could_not_be_hashed_whole_has_no_hash() {
    let mut guest = guest();
    guest.file(1, "/build/x", 1);
    // Fewer bytes hashed than there are.
    guest.files[40..48].copy_from_slice(&6i64.to_le_bytes());
    let trace = guest.trace();
    assert_eq!((trace.written[0].sha256, trace.written[0].size), (None, Some(7)));
}

/// A compilation whose temporary file has a name of its own in each build.
fn compilation(temporary: &str, contents: [u8; 3]) -> Trace {
    let assembly = format!("/tmp/{temporary}.s");
    guest()
        .exec(10, &["sh", "-c", "cc x.c"])
        .fork(10, 11)
        .exec(11, &["gen"])
        .file(11, "/build/x.c", contents[0])
        .fork(10, 12)
        .exec(12, &["cc1", "x.c", "-o", &assembly])
        .file(12, &assembly, contents[1])
        .fork(10, 13)
        .exec(13, &["as", &assembly, "-o", "x.o"])
        .file(13, "/build/x.o", contents[2])
        .trace()
}

#[test]
fn the_first_process_whose_file_differs_is_named_whatever_temporary_files_are_called() {
    let a = compilation("ccAAAA", [1, 2, 3]);
    let (none, unknown) = first_difference(&a, &compilation("ccBBBB", [1, 2, 3]));
    assert_eq!((none, unknown), (None, 0));
    let (first, _) = first_difference(&a, &compilation("ccBBBB", [1, 7, 8]));
    let first = first.unwrap();
    assert_eq!((first.position, name(&first.sides.a)), (2, "cc1 x.c -o /tmp/ccAAAA.s".to_owned()));
    assert_eq!(name(&first.sides.b), "cc1 x.c -o /tmp/ccBBBB.s");
}

#[test]
fn files_written_in_another_order_by_other_processes_are_no_difference() {
    let build = |order: [u32; 2]| {
        let mut guest = guest();
        for process in order {
            let file = format!("/build/{process}");
            guest.exec(process, &["touch", &file]).file(process, &file, process as u8);
        }
        guest.trace()
    };
    assert_eq!(first_difference(&build([1, 2]), &build([2, 1])).0, None);
}

#[test]
fn a_file_that_only_one_build_writes_is_found_in_its_place() {
    let build = |extra: bool| {
        let mut guest = guest();
        guest.exec(1, &["sh"]).file(1, "/build/a", 1);
        if extra {
            guest.fork(1, 2).exec(2, &["extra"]).file(2, "/build/extra", 9);
        }
        guest.file(1, "/build/b", 1).trace()
    };
    let (first, _) = first_difference(&build(true), &build(false));
    let first = first.unwrap();
    assert_eq!((name(&first.sides.a), first.sides.b, first.position), ("extra".to_owned(), None, 2));
    let (first, _) = first_difference(&build(false), &build(true));
    let first = first.unwrap();
    assert_eq!((first.sides.a, name(&first.sides.b), first.position), (None, "extra".to_owned(), 1));
}

#[test]
fn contents_that_are_not_known_are_counted_and_prove_nothing() {
    let mut a = compilation("cc", [1, 2, 3]);
    let b = compilation("cc", [1, 2, 4]);
    a.written[0].sha256 = None;
    let (first, unknown) = first_difference(&a, &b);
    assert_eq!((first.unwrap().position, unknown), (3, 1));
}

#[test]
fn logs_that_are_cut_or_go_back_in_time_are_refused() {
    let mut guest = Guest { now: 5_000_000, ..guest() };
    guest.exec(1, &["sh"]).file(1, "/build/a", 1);
    let cut = |bytes: &[u8]| bytes[..bytes.len() - 1].to_vec();
    let error = Trace::parse(&cut(&guest.processes), &guest.files).unwrap_err();
    assert_eq!((error.log, error.why), ("processes", "it is cut short"));
    let error = Trace::parse(&guest.processes, &cut(&guest.files)).unwrap_err();
    assert_eq!((error.log, error.offset), ("files", 104));
    guest.now = 0;
    guest.exec(2, &["earlier"]);
    let back = Trace::parse(&guest.processes, &[]).unwrap_err();
    assert_eq!(back.why, "time goes back");
    let huge = [i64::MAX.to_le_bytes(), [0; 8], [0; 8]].concat();
    assert!(Trace::parse(&huge, &[]).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        processes in prop::collection::vec(any::<u8>(), 0..400),
        files in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let _ = Trace::parse(&processes, &files);
    }

    /// One byte of two good logs changed: whatever is made of it, the alignment ends and names something that is there.
    #[test]
    fn a_changed_byte_is_refused_or_read_and_never_more(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut guest = guest();
        guest.exec(1, &["sh"]).fork(1, 2).exec(2, &["cc", "x"]).file(2, "/build/a", 1).file(1, "/build/b", 2);
        let whole = guest.trace();
        let processes = guest.processes.len();
        let at = at.index(processes + guest.files.len());
        match at.checked_sub(processes) {
            None => guest.processes[at] = to,
            Some(at) => guest.files[at] = to,
        }
        if let Ok(other) = Trace::parse(&guest.processes, &guest.files) {
            let (first, unknown) = first_difference(&whole, &other);
            prop_assert!(unknown <= 2);
            prop_assert!(first.is_none_or(|first| first.position <= whole.written.len()));
        }
    }
}
