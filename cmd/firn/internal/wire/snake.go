package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"unicode"
)

// SnakeCase returns the JSON form of a value with the fields of its structs
// named in snake case, as all JSON here is. Embedded structs are taken as if
// their fields were the value's own. Nil slices and maps are empty ones. The keys
// and values of maps stay as they are.
func SnakeCase(v any) json.Marshaler { return snake{reflect.ValueOf(v)} }

type snake struct{ v reflect.Value }

// MarshalJSON implements [json.Marshaler].
func (s snake) MarshalJSON() ([]byte, error) {
	switch s.v.Kind() {
	case reflect.Struct:
		members, err := s.members(nil)
		return append(append([]byte{'{'}, bytes.Join(members, []byte{','})...), '}'), err
	case reflect.Slice:
		elements := make([]snake, s.v.Len())
		for i := range elements {
			elements[i].v = s.v.Index(i)
		}
		return json.Marshal(elements)
	case reflect.Map:
		if s.v.IsNil() {
			return []byte("{}"), nil
		}
	}
	return json.Marshal(s.v.Interface())
}

// members appends the members of a struct to to.
func (s snake) members(to [][]byte) ([][]byte, error) {
	for field, value := range s.v.Fields() {
		if field.Anonymous {
			var err error
			if to, err = (snake{value}).members(to); err != nil {
				return nil, err
			}
			continue
		}
		encoded, err := json.Marshal(snake{value})
		if err != nil {
			return nil, err
		}
		to = append(to, append([]byte(`"`+snakeName(field.Name)+`":`), encoded...))
	}
	return to, nil
}

// snakeName turns FileBytes into file_bytes and ID into id.
func snakeName(name string) string {
	var b strings.Builder
	for i, c := range name {
		if unicode.IsUpper(c) && i > 0 && !unicode.IsUpper(rune(name[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}
