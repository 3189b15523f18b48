//! Vectors of formats whose modules are linked: loaded alone, and several in order.

use blobspec::format::{Check, Level, Meaning, Protection, Rule};
use harness_codec::{Draft, Proposal, Site, Verdict, decode, encode};
use harness_protocol::{Needs, Stage, Vector, Want};

use super::{Candidate, Maker, expect};
use crate::base::{Base, Builder, Shape, profiles};
use crate::{loads, scenarios, scene};

/// Where modules are asked to lie: just above what 32 bits address, and far away from there.
pub(super) const BASES: [(&str, u64); 2] = [("low", 0x1_0000_0000), ("high", 0x6000_0000_0000)];

impl<'f> Maker<'f> {
    /// Modules of formats that link, loaded at two bases far apart, and several of them in order.
    pub(super) fn linking(&mut self, bases: &[Base]) {
        let Some(scenes) = scene::Stage::of(self.format) else { return };
        for (profile, codes) in profiles(self.format) {
            let shape = Shape { elements: 3, codes, code: true, ..Shape::default() };
            let stub = Builder { format: self.format, shape: &shape }.code_stub();
            for load in loads::loads(&scenes, &stub) {
                let draft = scenes.draft(&load.scene, &shape);
                self.load(&profile, &load, &draft);
            }
            self.scenarios(&scenes, &profile, &shape);
        }
        self.guards(bases);
        self.platforms(bases);
        self.foreign_code(bases);
    }

    fn load(&mut self, profile: &str, load: &loads::Load, draft: &Draft) {
        let rule = self.mapping_rule(load);
        for (place, base_address) in BASES {
            let mut proposal = Proposal::plain(&load.name, draft);
            proposal.edit = format!("{} (else {})", load.edit, load.why);
            let id = self.id(&["loading", &load.name, profile, place]);
            let why = rule.map_or(load.why, |rule| rule.why.as_str());
            let candidate = Candidate::of(self.format, id, profile, proposal, why);
            self.add(candidate.map(|candidate| Candidate {
                rule,
                want: Want::Load,
                imports: load.imports.clone(),
                base_address: Some(base_address),
                ..candidate
            }));
        }
    }

    /// The rule that a load is mostly about: the bytes of the first image, or of the second.
    fn mapping_rule(&self, load: &loads::Load) -> Option<&'f Rule> {
        let linking = self.format.linking.as_ref()?;
        let code = linking.relocations.image;
        let of_code = !load.name.starts_with("sections/");
        self.format.rules.iter().filter(|rule| rule.active).find(|rule| {
            matches!(rule.check, Check::Mapping { image, never: Protection::OtherBytes } if (image == code) == of_code)
        })
    }

    fn scenarios(&mut self, scenes: &scene::Stage<'_>, profile: &str, shape: &Shape) {
        let write = |scene: &scene::Scene| {
            let file = encode(self.format, &scenes.draft(scene, shape)).ok()?.bytes;
            (decode(self.format, &file).verdict == Verdict::Valid).then_some(file)
        };
        let made = scenarios::scenarios(scenes, profile, &write);
        for scenario in made {
            let id = self.id(&["scenarios", scenario.name, profile]);
            self.ids.insert(id.clone(), id.clone());
            self.groups.push("scenarios".to_owned());
            self.vectors.push(Vector {
                id,
                base: profile.to_owned(),
                edit: scenario.name.replace('-', " "),
                want: Want::Scenario,
                steps: scenario.steps,
                expect: expect(vec![Stage::Returned]),
                needs: Needs { architecture: Some(profile.to_owned()), ..Needs::default() },
                why: scenario.why.to_owned(),
                ..Vector::default()
            });
        }
    }

    /// What is recommended about memory, apart from what is demanded.
    fn guards(&mut self, bases: &[Base]) {
        let recommended = self.format.rules.iter().find(|rule| {
            rule.active
                && rule.level == Level::Should
                && matches!(rule.check, Check::Mapping { .. })
        });
        let Some(rule) = recommended else { return };
        for base in bases.iter().filter(|base| base.name.starts_with("rich")) {
            let proposal = Proposal::plain("guard", &base.draft);
            let id = self.id(&["loading", "guard", &base.name]);
            let candidate = Candidate::of(self.format, id, &base.name, proposal, rule.why.clone());
            self.add(candidate.map(|candidate| Candidate {
                rule: Some(rule),
                want: Want::Load,
                ..candidate
            }));
        }
    }

    /// Valid files for other processors than the one that loads them.
    fn foreign_code(&mut self, bases: &[Base]) {
        for (profile, _) in profiles(self.format) {
            let name = format!("rich-{profile}");
            let Some(base) = bases.iter().find(|base| base.name == name) else { continue };
            let id = self.id(&["loading", "foreign-code", &name]);
            self.ids.insert(id.clone(), id.clone());
            self.groups.push("loading".to_owned());
            self.vectors.push(Vector {
                id,
                base: base.name.clone(),
                edit: format!("code for {profile}, on another processor"),
                want: Want::Load,
                bytes: base.file.clone().into(),
                expect: expect(vec![Stage::Unsupported]),
                needs: Needs { not_architecture: Some(profile), ..Needs::default() },
                why: "code for another processor is loaded".to_owned(),
                ..Vector::default()
            });
        }
    }

    /// Valid files for other systems, to be loaded on this one.
    fn platforms(&mut self, bases: &[Base]) {
        for rule in self.format.rules.iter().filter(|rule| rule.active) {
            let Check::HostPlatform { target, .. } = &rule.check else { continue };
            let site = Site { region: target.region, steps: target.path.clone() };
            let field = self.format.leaf(target).and_then(|field| field.field_type.scalar());
            let Some(Meaning::Enum(index)) = field.map(|scalar| scalar.meaning) else { continue };
            for base in bases.iter().filter(|base| base.name.starts_with("rich")) {
                for value in &self.format.enums[index].values {
                    let bench = base.workbench(self.format);
                    let edited = bench.set(&site, &value.name, value.code);
                    let Some(proposal) = edited else { continue };
                    let id = self.id(&["loading", "platform", &base.name, &value.name]);
                    let why = rule.why.clone();
                    let candidate = Candidate::of(self.format, id, &base.name, proposal, why);
                    self.add(candidate.map(|candidate| Candidate {
                        rule: Some(rule),
                        want: Want::Load,
                        ..candidate
                    }));
                }
            }
        }
    }
}
