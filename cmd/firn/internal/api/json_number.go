package api

import "io"

// number reads a number and returns it as it is written.
func (j *jsonReader) number() (string, error) {
	c, err := j.peek()
	if err != nil {
		return "", err
	}
	if c != '-' && (c < '0' || c > '9') {
		return "", j.syntax("no number")
	}
	t := text{most: maxNumber}
	if err := j.copyNumber(&t); err != nil {
		return "", err
	}
	if t.n > maxNumber {
		return "", j.syntax("too long a number")
	}
	return string(t.b), nil
}

// maxNumber is the most characters of a number that is to be understood.
const maxNumber = 400

// copyNumber copies a number. One may be all of the JSON, so the end of the stream is
// the end of the number.
func (j *jsonReader) copyNumber(t *text) error {
	if c, err := j.next(); err != nil {
		return err
	} else if c == '-' {
		t.add([]byte{c})
	} else {
		j.back()
	}
	c, err := j.next()
	if err != nil {
		return err
	}
	if c < '0' || c > '9' {
		j.back()
		return j.syntax("no value")
	}
	t.add([]byte{c})
	if c != '0' {
		if _, err := j.digits(t); err != nil {
			return err
		}
	}
	found, err := j.optional(t, ".")
	if err == nil && found {
		err = j.someDigits(t)
	}
	if err != nil {
		return err
	}
	if found, err = j.optional(t, "eE"); err != nil || !found {
		return err
	}
	if _, err := j.optional(t, "+-"); err != nil {
		return err
	}
	return j.someDigits(t)
}

func (j *jsonReader) someDigits(t *text) error {
	n, err := j.digits(t)
	if err == nil && n == 0 {
		err = j.syntax("no digit")
	}
	return err
}

// digits copies digits and returns how many there are.
func (j *jsonReader) digits(t *text) (int64, error) {
	for n := int64(0); ; n++ {
		found, err := j.optional(t, "0123456789")
		if err != nil || !found {
			return n, err
		}
	}
}

// optional copies the next byte if it is one of those in set.
func (j *jsonReader) optional(t *text, set string) (bool, error) {
	if j.pos == j.end {
		if err := j.fill(); err == io.EOF {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	c := j.window[j.pos]
	for i := range len(set) {
		if set[i] == c {
			t.add([]byte{c})
			j.pos++
			return true, nil
		}
	}
	return false, nil
}
