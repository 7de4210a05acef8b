//! Two archives of one format: members matched, their order, their fields and contents, and what lies between.

use std::collections::{HashMap, HashSet};

use sha2::{Digest as _, Sha256};

use super::{
    Archive, Member, Members, Stop, field, order, plain_name,
    stored::{self, Blocks, Stored},
};
use crate::diff::{
    Content, Difference, Finding, Limits, Pair, ReadError, Side, Step, Value, Window, bytes, file, gaps,
    image::{self, Layout},
    limits::Effort,
    unpack::{self, Packing, Unpacked},
};

/// Reads an archive of one format.
pub(super) type Parse = for<'a> fn(&'a dyn Content, &Limits) -> Result<Archive<'a>, Stop>;

/// Compares two archives of the format that `parse` reads. Adds a note and nothing else when one of them is broken.
pub(super) fn compare(
    format: &'static str,
    parse: Parse,
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let read = |side: Side| match parse(*files.of(side), effort.limits) {
        Ok(archive) => Ok(Ok(archive)),
        Err(stop) => stop.note(format, side).map(Err),
    };
    let archives = match (read(Side::A)?, read(Side::B)?) {
        (Ok(a), Ok(b)) => Pair::new(a, b),
        (Err(note), _) | (_, Err(note)) => {
            difference.notes.push(note);
            return Ok(());
        }
    };
    self::archives(files, &archives, difference, effort)
}

/// Compares two archives that are read.
pub(super) fn archives(
    files: Pair<&dyn Content>,
    archives: &Pair<Archive<'_>>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let Some(_deeper) = effort.deeper() else {
        difference.notes.push(effort.too_deep());
        return Ok(());
    };
    let layouts = match (&archives.a.image, &archives.b.image) {
        (Some(a), Some(b)) => Some(Pair::new(a, b)),
        _ => None,
    };
    Comparing { files, archives, layouts, effort }.all(difference)
}

struct Comparing<'a> {
    files: Pair<&'a dyn Content>,
    archives: &'a Pair<Archive<'a>>,
    /// What both say of the container images in them.
    layouts: Option<Pair<&'a Layout>>,
    effort: &'a Effort<'a>,
}

/// Members of both sides that belong together, by their numbers; and those that one side has alone.
struct Matched {
    pairs: Vec<Pair<usize>>,
    alone: Pair<Vec<usize>>,
}

impl Comparing<'_> {
    fn all(&self, difference: &mut Difference) -> Result<(), ReadError> {
        let (files, archives) = (self.files, self.archives);
        let fields = archives.as_ref().map(|archive| archive.fields.clone());
        let mut archive = Difference::new(Step::Table("archive"));
        archive.found = field::compare(fields, files)?;
        if archive.is_some() {
            difference.inside.push(archive);
        }
        if let Some(layouts) = self.layouts {
            let members = |side: Side| Members::new(*files.of(side), &archives.of(side).members);
            let members = Pair::new(members(Side::A), members(Side::B));
            image::compare(layouts, Pair::new(&members.a, &members.b), difference, self.effort)?;
        }
        let matched = self.matched()?;
        difference.found.extend(self.order(&matched));
        for pair in &matched.pairs {
            self.member(*pair, difference)?;
        }
        for (side, alone) in [(Side::A, &matched.alone.a), (Side::B, &matched.alone.b)] {
            for index in alone {
                let member = &archives.of(side).members[*index];
                if self.part(side, member).is_some() {
                    continue;
                }
                let mut place = Difference::new(Step::Member(member.name.clone()));
                place.found.push(Finding::OnlyIn { side, what: member.what, size: member.size });
                difference.inside.push(place);
            }
        }
        let gaps = Pair::new(self.gaps(Side::A)?, self.gaps(Side::B)?);
        let mut between = Difference::new(Step::BetweenMembers);
        for index in 0..gaps.a.len().max(gaps.b.len()) {
            if let Some(found) = bytes::compare(gaps::windows(files, &gaps, index), self.effort)? {
                file::add(found, &mut between);
            }
        }
        if between.is_some() {
            difference.inside.push(between);
        }
        Ok(())
    }

    fn gaps(&self, side: Side) -> Result<Vec<(u64, u64)>, ReadError> {
        let archive = self.archives.of(side);
        let mut covered = archive.tables.clone();
        for member in &archive.members {
            covered.extend(member.headers.iter().filter(|(_, len)| *len > 0));
            covered.push(member.data);
        }
        gaps::gaps(side, *self.files.of(side), covered)
    }

    /// Which part of a container image a member is; `None` for all others.
    fn part(&self, side: Side, member: &Member) -> Option<&[u8]> {
        let part = self.layouts?.of(side).parts.get(plain_name(&member.name))?;
        Some(part.as_bytes())
    }

    /// By name, or by the part of an image, and by how many of that name came before; what is left, by content.
    fn matched(&self) -> Result<Matched, ReadError> {
        let of_side = |side: Side| {
            let mut seen: HashMap<(bool, &[u8]), usize> = HashMap::new();
            let mut keys = Vec::new();
            for member in &self.archives.of(side).members {
                let part = self.part(side, member);
                let key = (part.is_some(), part.unwrap_or(&member.name));
                let ordinal = seen.entry(key).or_default();
                keys.push((key, *ordinal));
                *ordinal += 1;
            }
            keys
        };
        let keys = Pair::new(of_side(Side::A), of_side(Side::B));
        let of_b: HashMap<_, _> = keys.b.iter().enumerate().map(|(index, key)| (*key, index)).collect();
        let mut matched = Matched { pairs: Vec::new(), alone: Pair::new(Vec::new(), Vec::new()) };
        let mut taken: HashSet<usize> = HashSet::new();
        for (a, key) in keys.a.iter().enumerate() {
            match of_b.get(key) {
                Some(b) => {
                    matched.pairs.push(Pair::new(a, *b));
                    taken.insert(*b);
                }
                None => matched.alone.a.push(a),
            }
        }
        matched.alone.b.extend((0..keys.b.len()).filter(|b| !taken.contains(b)));
        self.by_content(&mut matched)?;
        Ok(matched)
    }

    /// Pairs members that have another name and the same, not empty, contents.
    fn by_content(&self, matched: &mut Matched) -> Result<(), ReadError> {
        let members = self.archives.as_ref().map(|archive| &archive.members);
        let alone = std::mem::replace(&mut matched.alone, Pair::new(Vec::new(), Vec::new()));
        let sizes: HashSet<u64> = alone.a.iter().map(|index| members.a[*index].size).collect();
        let wanted = |member: &Member| {
            member.size > 0 && sizes.contains(&member.size) && self.part(Side::B, member).is_none()
        };
        let mut of_b: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
        let mut sizes_of_b: HashSet<u64> = HashSet::new();
        for index in &alone.b {
            let member = &members.b[*index];
            let digest = if wanted(member) { self.digest(Side::B, member)? } else { None };
            match digest {
                Some(digest) => {
                    sizes_of_b.insert(member.size);
                    of_b.entry(digest).or_default().push(*index);
                }
                None => matched.alone.b.push(*index),
            }
        }
        // The first of several equal ones first.
        of_b.values_mut().for_each(|indices| indices.reverse());
        for index in alone.a {
            let member = &members.a[index];
            let digest = match sizes_of_b.contains(&member.size) && self.part(Side::A, member).is_none() {
                true => self.digest(Side::A, member)?,
                false => None,
            };
            match digest.and_then(|digest| of_b.get_mut(&digest)?.pop()) {
                Some(b) => matched.pairs.push(Pair::new(index, b)),
                None => matched.alone.a.push(index),
            }
        }
        matched.alone.b.extend(of_b.into_values().flatten());
        matched.alone.b.sort_unstable();
        matched.pairs.sort_by_key(|pair| pair.a);
        Ok(())
    }

    /// A hash of a member's contents; `None` where they cannot be unpacked within the caps.
    fn digest(&self, side: Side, member: &Member) -> Result<Option<[u8; 32]>, ReadError> {
        let window = self.data(side, member);
        let mut hash = Sha256::new();
        if let Some(stored) = &self.archives.of(side).stored {
            let blocks = self.may_list(member).and_then(|()| stored.blocks(member));
            let unpacked = blocks.and_then(|blocks| stored.unpack(&blocks, self.effort));
            return match unpacked {
                Ok(unpacked) => Ok(Some(Sha256::digest(unpacked.bytes()).into())),
                Err(stop) => stop.note("compressed", side).map(|_| None),
            };
        }
        if member.packing == Packing::None {
            let mut buffer = Vec::new();
            let mut at = window.start();
            while at < window.end() {
                let next = (at + (64 << 10)).min(window.end());
                hash.update(window.bytes(at, next, &mut buffer).map_err(bytes::failed(side, at))?);
                at = next;
            }
            return Ok(Some(hash.finalize().into()));
        }
        match unpack::unpack(member.packing, window, self.effort) {
            Ok(unpacked) => {
                hash.update(unpacked.bytes());
                Ok(Some(hash.finalize().into()))
            }
            Err(stop) => stop.note("compressed", side).map(|_| None),
        }
    }

    fn data(&self, side: Side, member: &Member) -> Window<'_> {
        Window::new(*self.files.of(side), member.data.0, member.data.1)
    }

    /// The order of the members that both sides have.
    fn order(&self, matched: &Matched) -> Option<Finding> {
        // Where blobs stand follows from their names, and these from their contents.
        let members = self.archives.as_ref().map(|archive| &archive.members);
        let is_moved = |pair: &&Pair<usize>| {
            let (a, b) = (&members.a[pair.a], &members.b[pair.b]);
            self.part(Side::A, a).is_none() || a.name == b.name
        };
        let pairs: Vec<Pair<usize>> = matched.pairs.iter().filter(is_moved).copied().collect();
        let numbers: Vec<usize> = pairs.iter().map(|pair| pair.b).collect();
        let moved = order::out_of_order(&numbers) as u64;
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        let first = numbers.iter().zip(&sorted).position(|(number, sorted)| number != sorted)?;
        let names = Pair::new(
            self.archives.a.members[pairs[first].a].name.clone(),
            self.archives.b.members[sorted[first]].name.clone(),
        );
        Some(Finding::MemberOrder { members: numbers.len() as u64, moved, first: names })
    }

    fn member(&self, pair: Pair<usize>, difference: &mut Difference) -> Result<(), ReadError> {
        let archives = self.archives.as_ref();
        let members = Pair::new(&archives.a.members[pair.a], &archives.b.members[pair.b]);
        let mut place = Difference::new(Step::Member(members.a.name.clone()));
        let renamed = members.a.name != members.b.name;
        let part = self.part(Side::A, members.a).is_some() && self.part(Side::B, members.b).is_some();
        if renamed && part {
            let values = members.map(|member| Value::Text(Some(member.name.clone())));
            place.found.push(Finding::Field { name: "name", values, at: None, derived: true });
        } else if renamed {
            place.found.push(Finding::Renamed(members.map(|member| member.name.clone())));
        }
        let said = members.map(|member| member.fields.clone());
        place.found.extend(field::compare(said, self.files)?);
        if members.a.what != members.b.what {
            let kinds = members.map(|member| Value::Text(Some(member.what.as_bytes().to_vec())));
            place.found.push(Finding::Field { name: "kind", values: kinds, at: None, derived: false });
        }
        if archives.a.stored.is_some() || !self.same_headers(members)? {
            let describe = |side: Side| {
                let member = *members.of(side);
                let fields = (archives.of(side).describe)(member);
                fields.map_err(bytes::failed(side, member.headers[0].0))
            };
            let fields = Pair::new(describe(Side::A)?, describe(Side::B)?);
            // Another name is told already.
            let is_name =
                |finding: &Finding| matches!(finding, Finding::Field { name: "name as written", .. });
            let rest = Pair::new(
                field::rest(Side::A, self.files.a, &members.a.headers, &fields.a)?,
                field::rest(Side::B, self.files.b, &members.b.headers, &fields.b)?,
            );
            let mut found = field::compare(fields, self.files)?;
            if rest.a != rest.b {
                let values = rest.map(|bytes| Value::Hex(Some(bytes)));
                found.push(Finding::Field { name: "rest of the headers", values, at: None, derived: false });
            }
            place.found.extend(found.into_iter().filter(|finding| !(renamed && is_name(finding))));
        }
        if !part {
            self.contents(members, &mut place)?;
        }
        if place.is_some() || !place.notes.is_empty() {
            difference.inside.push(place);
        }
        Ok(())
    }

    fn same_headers(&self, members: Pair<&Member>) -> Result<bool, ReadError> {
        for (a, b) in members.a.headers.iter().zip(&members.b.headers) {
            let windows = Pair::new(Window::new(self.files.a, a.0, a.1), Window::new(self.files.b, b.0, b.1));
            if a.1 != b.1 || !bytes::equal(windows)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn contents(&self, members: Pair<&Member>, place: &mut Difference) -> Result<(), ReadError> {
        if let (Some(a), Some(b)) = (&self.archives.a.stored, &self.archives.b.stored) {
            return self.blocks(Pair::new(&**a, &**b), members, place);
        }
        let windows = Pair::new(self.data(Side::A, members.a), self.data(Side::B, members.b));
        if members.a.packing == members.b.packing && bytes::equal(windows)? {
            return Ok(());
        }
        if members.a.index && members.b.index {
            let mut index = Difference::new(Step::Index);
            if let Some(found) = bytes::compare(windows, self.effort)? {
                file::add(found, &mut index);
            }
            place.inside.push(index);
            return Ok(());
        }
        unpack::compare(members.map(|member| member.packing), windows, place, self.effort)
    }

    /// Contents in blocks: those of the same bytes are equal, others are unpacked.
    fn blocks(
        &self,
        stored: Pair<&dyn Stored>,
        members: Pair<&Member>,
        place: &mut Difference,
    ) -> Result<(), ReadError> {
        for side in [Side::A, Side::B] {
            if let Err(stop) = self.may_list(members.of(side)) {
                return self.unread(side, stop, Pair::default(), place);
            }
        }
        let blocks = |side: Side| stored.of(side).blocks(members.of(side));
        let unpack = |side: Side, blocks: &Blocks| stored.of(side).unpack(blocks, self.effort);
        let blocks = match (blocks(Side::A), blocks(Side::B)) {
            (Ok(a), Ok(b)) => Pair::new(a, b),
            (Err(stop), _) => return self.unread(Side::A, stop, Pair::default(), place),
            (_, Err(stop)) => return self.unread(Side::B, stop, Pair::default(), place),
        };
        if stored::same(self.files, blocks.as_ref(), self.effort)? {
            return Ok(());
        }
        let contents = match (unpack(Side::A, &blocks.a), unpack(Side::B, &blocks.b)) {
            (Ok(a), Ok(b)) => Pair::new(a, b),
            (Err(stop), _) => return self.unread(Side::A, stop, blocks, place),
            (_, Err(stop)) => return self.unread(Side::B, stop, blocks, place),
        };
        let slices = contents.as_ref().map(Unpacked::bytes);
        if slices.a != slices.b {
            return file::compare(Pair::new(&slices.a, &slices.b), place, self.effort);
        }
        if blocks.a.comparable(&blocks.b) && !stored::same_whole(self.files, blocks.as_ref(), self.effort)? {
            let packed = blocks.as_ref().map(Blocks::packed);
            place.found.push(Finding::Encoding { packing: "squashfs", size: slices.a.len() as u64, packed });
        }
        Ok(())
    }

    /// Takes the work of reading a list of blocks from what may be done: lists are short beside what they list, but many
    /// members can have the same one.
    fn may_list(&self, member: &Member) -> Result<(), Stop> {
        let taken = self.effort.hold().more(member.size / 128);
        taken.map_err(|cap| Stop::Cap { what: "bytes unpacked at once", cap })
    }

    /// Contents in blocks that cannot be unpacked: hashes of them as they are stand for them.
    fn unread(
        &self,
        side: Side,
        stop: Stop,
        blocks: Pair<Blocks>,
        place: &mut Difference,
    ) -> Result<(), ReadError> {
        place.notes.push(stop.note("squashfs", side)?);
        let hash = |side: Side| stored::hash(side, *self.files.of(side), blocks.of(side), self.effort);
        let values = Pair::new(hash(Side::A)?, hash(Side::B)?).map(|hash| Value::Hex(Some(hash)));
        let name = "hash of the packed contents";
        place.found.push(Finding::Field { name, values, at: None, derived: false });
        Ok(())
    }
}
