// Package columns prints rows of words below each other.
package columns

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// Write pads every word but the last of a row to the width of its column, and says what the writer says.
func Write(out io.Writer, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for column, word := range row {
			if column == len(widths) {
				widths = append(widths, 0)
			}
			widths[column] = max(widths[column], utf8.RuneCountInString(word))
		}
	}
	for _, row := range rows {
		for column, word := range row {
			format, arguments := "%-*s  ", []any{widths[column], word}
			if column == len(row)-1 {
				format, arguments = "%s\n", []any{word}
			}
			if _, err := fmt.Fprintf(out, format, arguments...); err != nil {
				return err
			}
		}
	}
	return nil
}
