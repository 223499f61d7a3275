package api

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD, as it
// does when bytes are decoded as text.
func appendString[S string | []byte](b []byte, s S) []byte {
	return append(appendText(append(b, '"'), s), '"')
}

// appendText appends what stands between the quotes of a JSON string.
func appendText[S string | []byte](b []byte, s S) []byte {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' && c != 0x7f {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r != utf8.RuneError || size != 1 {
				i += size
				continue
			}
			b = append(append(b, s[from:i]...), "\ufffd"...)
		} else {
			b = append(b, s[from:i]...)
			b = appendEscape(b, c)
		}
		i++
		from = i
	}
	return append(b, s[from:]...)
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

// appendMetadata appends metadata, null for none.
func appendMetadata(b []byte, m json.RawMessage) []byte {
	if m == nil {
		return append(b, "null"...)
	}
	return append(b, m...)
}

// headerJSON returns JSON as it may stand in a header: DEL is escaped, which is the
// only byte that JSON takes in a string and a header does not. (Line breaks between
// the tokens become spaces in net/http.)
func headerJSON(m json.RawMessage) string {
	if bytes.IndexByte(m, 0x7f) < 0 {
		return string(m)
	}
	return strings.ReplaceAll(string(m), "\x7f", `\u007f`)
}
