//! Pages of a program and its commands.

use clap::Command;
use clap_mangen::Man;
use roff::{Inline, Roff, bold, roman};

use super::{MANUAL, ManualError, Page, Program, VERSION};

/// How a definition announces its exit statuses, below the help.
const EXIT_STATUS: &str = "Exit status: ";

pub(super) fn pages(program: &Program, date: &str) -> Result<Vec<Page>, ManualError> {
    let mut root = titled((program.command)()).disable_help_subcommand(true);
    // Gives each command its full name.
    root.build();
    let statuses = exit_statuses(&root).unwrap_or_default();
    let mut pages = Vec::new();
    add(program, date, &root, &[], &statuses, &mut pages)?;
    Ok(pages)
}

/// The heading of a list of commands, here and in the synopsis.
fn titled(command: Command) -> Command {
    command
        .subcommand_help_heading("COMMANDS")
        .subcommand_value_name("command")
        .mut_subcommands(titled)
}

/// The page of a command, then those of the commands below it.
fn add(
    program: &Program,
    date: &str,
    command: &Command,
    above: &[String],
    statuses: &str,
    pages: &mut Vec<Page>,
) -> Result<(), ManualError> {
    let name = full_name(command);
    let page = Man::new(command.clone())
        .title(name.to_uppercase())
        .section(program.section)
        .date(date)
        .source(VERSION)
        .manual(MANUAL);
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    synopsis(command).to_writer(&mut text)?;
    description(command).to_writer(&mut text)?;
    let shown = |command: &&Command| !command.is_hide_set();
    if command.get_subcommands().any(|below| shown(&below)) {
        page.render_subcommands_section(&mut text)?;
    }
    page.render_options_section(&mut text)?;
    rest(program, command, above, statuses).to_writer(&mut text)?;
    pages.push(Page {
        file_name: format!("{name}.{}", program.section),
        text,
    });
    let mut above = above.to_vec();
    above.push(format!("{name}({})", program.section));
    for below in command.get_subcommands().filter(shown) {
        add(program, date, below, &above, statuses, pages)?;
    }
    Ok(())
}

fn full_name(command: &Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

/// As clap shows the usage, which names the values of arguments.
fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).trim();
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([
        bold(name),
        roman(usage.strip_prefix(name).unwrap_or_default()),
    ]);
    roff
}

fn description(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]);
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    for paragraph in about.split("\n\n") {
        roff.control("PP", []);
        roff.text(prose(paragraph));
    }
    roff
}

/// What clap knows nothing of.
fn rest(program: &Program, command: &Command, above: &[String], statuses: &str) -> Roff {
    let is_program = above.is_empty();
    let mut roff = Roff::new();
    if is_program {
        environment(&mut roff, program, command);
        files(&mut roff, program);
    }
    let own = exit_statuses(command);
    exit_status(&mut roff, own.as_deref().unwrap_or(statuses));
    let mut see_also = above.to_vec();
    see_also.extend(program.written().map(|file| format!("{}(5)", file.page)));
    if is_program {
        see_also.extend(program.see_also.iter().map(ToString::to_string));
    }
    references(&mut roff, &see_also);
    roff
}

fn exit_statuses(command: &Command) -> Option<String> {
    let text = command.get_after_help()?.to_string();
    text.strip_prefix(EXIT_STATUS).map(str::to_owned)
}

/// `0 fine, 1 failed` as a list. A part without a number goes on with the one
/// before it.
fn exit_status(roff: &mut Roff, statuses: &str) {
    let mut items: Vec<(&str, String)> = Vec::new();
    for part in statuses.split(", ") {
        let number = part
            .split_once(' ')
            .filter(|(n, _)| n.parse::<u8>().is_ok());
        match (number, items.last_mut()) {
            (Some((number, meaning)), _) => items.push((number, meaning.to_owned())),
            (None, Some((_, meaning))) => {
                meaning.push_str(", ");
                meaning.push_str(part);
            }
            (None, None) => {}
        }
    }
    if items.is_empty() {
        return;
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (number, meaning) in items {
        term(roff, [bold(number)], &[&meaning]);
    }
}

fn environment(roff: &mut Roff, program: &Program, root: &Command) {
    roff.control("SH", ["ENVIRONMENT"]);
    for variable in variables(root) {
        let help = match variable.commands.as_slice() {
            [command] => format!(
                "Instead of the option {} of `{command}`: {}.",
                variable.option, variable.help
            ),
            _ => format!(
                "Instead of the option {}: {}.",
                variable.option, variable.help
            ),
        };
        term(roff, [bold(variable.name)], &[&help]);
    }
    let settings = format!(
        "The setting KEY of the section SECTION, in upper case: it wins over the file. See {}(5).",
        program.settings.page
    );
    term(roff, [bold("PVELENS_SECTION__KEY")], &[&settings]);
    if program.section == "1" {
        term(
            roff,
            [bold("NO_COLOR")],
            &[
                "When it is set and not empty, nothing is coloured. Neither is it when standard output is no terminal.",
            ],
        );
    }
}

/// A variable that stands for an option.
struct Variable {
    name: String,
    option: String,
    help: String,
    commands: Vec<String>,
}

fn variables(root: &Command) -> Vec<Variable> {
    let mut found: Vec<Variable> = Vec::new();
    for command in root.get_subcommands().filter(|below| !below.is_hide_set()) {
        for argument in command.get_arguments() {
            let (Some(name), Some(option)) = (argument.get_env(), argument.get_long()) else {
                continue;
            };
            let name = name.to_string_lossy().into_owned();
            let command = command.get_name().to_owned();
            match found.iter_mut().find(|known| known.name == name) {
                Some(known) => known.commands.push(command),
                None => found.push(Variable {
                    name,
                    option: format!("--{option}"),
                    help: argument
                        .get_help()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                    commands: vec![command],
                }),
            }
        }
    }
    found
}

fn files(roff: &mut Roff, program: &Program) {
    roff.control("SH", ["FILES"]);
    for (path, meaning) in program.files {
        term(roff, [bold(*path)], &[meaning]);
    }
}

/// A term and its paragraphs.
pub(super) fn term<const N: usize>(roff: &mut Roff, head: [Inline; N], paragraphs: &[&str]) {
    roff.control("TP", []);
    roff.text(head);
    for (place, paragraph) in paragraphs.iter().enumerate() {
        if place > 0 {
            roff.control("IP", []);
        }
        roff.text(prose(paragraph));
    }
}

/// `SEE ALSO`, in the order given.
pub(super) fn references(roff: &mut Roff, pages: &[String]) {
    roff.control("SH", ["SEE ALSO"]);
    let mut text = Vec::new();
    for page in pages {
        if !text.is_empty() {
            text.push(roman(", "));
        }
        match page.split_once('(') {
            Some((name, section)) => {
                text.push(bold(name));
                text.push(roman(format!("({section}")));
            }
            None => text.push(roman(page)),
        }
    }
    roff.text(text);
}

/// Text whose words in backquotes are bold.
pub(super) fn prose(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts
        .filter(|(_, part)| !part.is_empty())
        .map(|(place, part)| {
            if place % 2 == 0 {
                roman(part)
            } else {
                bold(part)
            }
        })
        .collect()
}
