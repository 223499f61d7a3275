package api

import (
	"fmt"
	"net/http"
)

// account answers what clients ask beside KV. There is one account, with one user.
func (x *exchange) account(path string) error {
	if x.r.Method != http.MethodGet {
		return notAllowed("GET")
	}
	x.operation = "account"
	q, err := readPageQuery(x.r.URL.RawQuery)
	if err != nil {
		return err
	}
	id := appendString(nil, x.h.AccountID)
	b := []byte(resultBegin)
	switch path {
	case "accounts", "memberships":
		if q.page > 1 { // clients ask until a page is empty
			b = fmt.Appendf(b, `[],"result_info":{"page":%d,"per_page":20,"count":0,"total_count":1,"total_pages":1}`, q.page)
			x.reply(http.StatusOK, typeJSON, append(b, resultEnd...))
			return nil
		}
	}
	switch path {
	case "accounts":
		b = append(b, '[')
		b = appendAccount(b, id)
		b = append(b, "]"+oneOfOne...)
	case "memberships":
		b = append(append(b, `[{"id":`...), id...)
		b = append(b, `,"status":"accepted","account":`...)
		b = appendAccount(b, id)
		b = append(b, "}]"+oneOfOne...)
	case "user":
		b = append(append(b, `{"id":`...), id...)
		b = append(b, `,"email":"firn@localhost"}`...)
	case "user/tokens/verify":
		b = append(append(b, `{"id":`...), id...)
		b = append(b, `,"status":"active"}`...)
	}
	x.reply(http.StatusOK, typeJSON, append(b, resultEnd...))
	return nil
}

const oneOfOne = `,"result_info":{"page":1,"per_page":20,"count":1,"total_count":1,"total_pages":1}`

func appendAccount(b, id []byte) []byte {
	b = append(append(b, `{"id":`...), id...)
	return append(b, `,"name":"Firn"}`...)
}
