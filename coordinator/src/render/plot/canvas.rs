//! The drawing itself: dots in cells, in Braille (two by four in a cell) or ASCII.

use super::{
    column::Columns,
    paint::{Tone, marker},
    value_axis::ValueAxis,
    words::Words,
};

/// Braille bits of a cell by row from the top, left and right (Unicode Standard,
/// chapter 21.1).
const BRAILLE: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
/// Every other dot, for a band.
const SPARSE: u8 = 0x95;
/// Fewest cells between the markers of one line.
const MARKER_DISTANCE: usize = 14;

#[derive(Debug, Clone, Default)]
struct Cell {
    dots: u8,
    /// Dots of the band.
    band: u8,
    /// The line that drew last here.
    line: usize,
    marker: Option<char>,
}

#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    rows: usize,
    unicode: bool,
    color: bool,
    cells: Vec<Cell>,
}

impl Canvas {
    pub(super) fn new(width: usize, rows: usize, words: &Words) -> Self {
        Self {
            width,
            rows,
            unicode: words.unicode,
            color: words.color,
            cells: vec![Cell::default(); width * rows],
        }
    }

    /// Dots from left to right.
    pub(super) fn dots_across(&self) -> usize {
        if self.unicode {
            self.width * 2
        } else {
            self.width
        }
    }

    /// Dots of a row.
    pub(super) fn dots_down(&self) -> usize {
        if self.unicode { 4 } else { 1 }
    }

    /// The cell of a dot, counted from the left and the bottom, and the dot's bit.
    fn at(&mut self, x: usize, y: usize) -> Option<(&mut Cell, u8)> {
        let down = (self.rows * self.dots_down()).checked_sub(y + 1)?;
        let (column, row, bit) = if self.unicode {
            let bit = *BRAILLE.get(down % 4)?.get(x % 2)?;
            (x / 2, down / 4, bit)
        } else {
            (x, down, 1)
        };
        let cell = self.cells.get_mut(row * self.width + column)?;
        Some((cell, bit))
    }

    /// Between minimum and maximum.
    pub(super) fn band(&mut self, line: &Columns, axis: &ValueAxis) {
        let dots = self.rows * self.dots_down();
        for (x, column) in line.0.iter().enumerate() {
            let Some(column) = column else { continue };
            let (low, high) = (
                axis.dot(column.minimum, dots),
                axis.dot(column.maximum, dots),
            );
            for y in low..=high {
                if let Some((cell, bit)) = self.at(x, y) {
                    cell.band |= bit;
                }
            }
        }
    }

    /// Whether a band is wide enough to be seen beside its line.
    pub(super) fn shows_band(&self) -> bool {
        self.cells
            .iter()
            .any(|cell| self.look(cell).0 == Tone::Band)
    }

    /// The means, joined where one column follows another.
    pub(super) fn line(&mut self, line: &Columns, number: usize, axis: &ValueAxis) {
        let dots = self.rows * self.dots_down();
        let mut before = None;
        for (x, column) in line.0.iter().enumerate() {
            let y = column.as_ref().map(|column| axis.dot(column.mean, dots));
            if let Some(y) = y {
                let from = before.unwrap_or(y);
                // From the neighbour's height, without it.
                let (low, high) = match from {
                    from if from < y => (from + 1, y),
                    from if from > y => (y, from - 1),
                    _ => (y, y),
                };
                for y in low..=high {
                    if let Some((cell, bit)) = self.at(x, y) {
                        cell.dots |= bit;
                        cell.line = number;
                    }
                }
            }
            before = y;
        }
    }

    /// Tells lines apart without colours, and makes one that is a mere dot visible.
    pub(super) fn markers(&mut self, lines: &[Columns], axis: &ValueAxis) {
        let dots = self.rows * self.dots_down();
        let across = self.dots_across() / self.width.max(1);
        let distance = MARKER_DISTANCE.max(self.width / 8);
        for (number, line) in lines.iter().enumerate() {
            let present = line.0.iter().flatten().count();
            if !self.unicode || (lines.len() == 1 && present > 2) {
                continue;
            }
            // Lines take turns, so that markers do not meet.
            let mut next = distance * (2 * number + 1) / (2 * lines.len());
            let mut placed = 0;
            for (x, column) in line.0.iter().enumerate() {
                let Some(column) = column else { continue };
                // What is short must not end before its first marker.
                if x / across < next && present > next {
                    continue;
                }
                if placed > 0 && x / across < next {
                    continue;
                }
                let y = axis.dot(column.mean, dots);
                if let Some((cell, _)) = self.at(x, y)
                    && cell.marker.is_none()
                {
                    cell.marker = Some(marker(number, true));
                    cell.line = number;
                    placed += 1;
                    next = x / across + distance;
                }
            }
        }
    }

    /// A row from the top, as pieces of one look.
    pub(super) fn row(&self, row: usize) -> Vec<(Tone, String)> {
        let mut pieces: Vec<(Tone, String)> = Vec::new();
        let cells = self.cells.iter().skip(row * self.width).take(self.width);
        for cell in cells {
            let (tone, c) = self.look(cell);
            match pieces.last_mut() {
                Some((last, text)) if *last == tone => text.push(c),
                _ => pieces.push((tone, c.to_string())),
            }
        }
        pieces
    }

    fn look(&self, cell: &Cell) -> (Tone, char) {
        let line = Tone::Line(cell.line);
        if let Some(marker) = cell.marker {
            return (line, marker);
        }
        match (cell.dots, cell.band, self.unicode) {
            (0, 0, _) => (Tone::Plain, ' '),
            (0, _, false) => (Tone::Band, ':'),
            // Dim dots follow the band exactly. Where they cannot be dim they would be
            // taken for the line, and whole cells are shaded that are at least half full.
            (0, band, true) if self.color => match band & SPARSE {
                0 => (Tone::Plain, ' '),
                dots => (Tone::Band, braille(dots)),
            },
            (0, band, true) if band.count_ones() >= 4 => (Tone::Band, '░'),
            (0, _, true) => (Tone::Plain, ' '),
            (_, _, false) => (line, marker(cell.line, false)),
            (dots, _, true) => (line, braille(dots)),
        }
    }
}

fn braille(dots: u8) -> char {
    char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' ')
}
