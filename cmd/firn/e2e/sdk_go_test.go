package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go/v6/kv"
	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/shared"
)

type fields map[string]any

// with fills the parameters of a call. The SDK's own way is cloudflare.F, in a
// package that brings the code of every other service along: minutes of
// building and of analysis.
func with[P any](values fields) P {
	var params P
	set := reflect.ValueOf(&params).Elem()
	set.FieldByName("AccountID").FieldByName("Value").SetString(account)
	set.FieldByName("AccountID").FieldByName("Present").SetBool(true)
	fill(set, values)
	return params
}

func fill(params reflect.Value, values fields) {
	for name, value := range values {
		field := params.FieldByName(name)
		if field.Kind() == reflect.Struct {
			field.FieldByName("Present").SetBool(true)
			field = field.FieldByName("Value")
		}
		field.Set(reflect.ValueOf(value))
	}
}

// goSDK is the official SDK on one namespace.
type goSDK struct {
	*kv.NamespaceService
	t   *testing.T
	ctx context.Context
	id  string
}

// TestGoSDK calls all that the official SDK has for KV.
func TestGoSDK(t *testing.T) {
	t.Parallel()
	server := serve(t, t.TempDir())
	c := &goSDK{t: t, ctx: soon(t)}
	c.NamespaceService = kv.NewKVService(option.WithBaseURL(server.api()), option.WithAPIToken(token)).Namespaces
	t.Run("namespaces", c.on((*goSDK).namespaces))
	c.id = server.create(t, "the namespace of the Go SDK")
	t.Run("values", c.on((*goSDK).values))
	t.Run("metadata", c.on((*goSDK).metadata))
	t.Run("list", c.on((*goSDK).list))
	t.Run("bulk", c.on((*goSDK).bulk))
	t.Run("bulk among keys", c.on((*goSDK).bulkAmongKeys))
}

func (c *goSDK) on(test func(*goSDK)) func(*testing.T) {
	return func(t *testing.T) {
		own := *c
		own.t = t
		test(&own)
	}
}

func (c *goSDK) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *goSDK) equal(what string, got, want any) {
	c.t.Helper()
	if !reflect.DeepEqual(got, want) {
		c.t.Errorf("%s: got %#v, want %#v", what, got, want)
	}
}

// refused demands an error with a status and a code.
func (c *goSDK) refused(what string, err error, status, code int) {
	c.t.Helper()
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf(": %d ", status)) ||
		!strings.Contains(err.Error(), fmt.Sprintf(`"code":%d`, code)) {
		c.t.Errorf("%s: got %v, want status %d and code %d", what, err, status, code)
	}
}

func (c *goSDK) namespaces() {
	one, err := c.New(c.ctx, with[kv.NamespaceNewParams](fields{"Title": "one"}))
	c.must(err)
	c.equal("title", one.Title, "one")
	c.equal("supports_url_encoding", one.SupportsURLEncoding, true)
	_, err = c.New(c.ctx, with[kv.NamespaceNewParams](fields{"Title": "one"}))
	c.refused("a title in use", err, http.StatusBadRequest, 10014)

	got, err := c.Get(c.ctx, one.ID, with[kv.NamespaceGetParams](nil))
	c.must(err)
	c.equal("get", []string{got.ID, got.Title}, []string{one.ID, "one"})
	renamed, err := c.Update(c.ctx, one.ID, with[kv.NamespaceUpdateParams](fields{"Title": "uno"}))
	c.must(err)
	c.equal("rename", []string{renamed.ID, renamed.Title}, []string{one.ID, "uno"})
	_, err = c.Get(c.ctx, strings.Repeat("f", 32), with[kv.NamespaceGetParams](nil))
	c.refused("no such namespace", err, http.StatusNotFound, 10013)

	_, err = c.New(c.ctx, with[kv.NamespaceNewParams](fields{"Title": "due"}))
	c.must(err)
	var titles []string
	for pages := c.ListAutoPaging(c.ctx, with[kv.NamespaceListParams](fields{
		"Order":     kv.NamespaceListParamsOrderTitle,
		"Direction": kv.NamespaceListParamsDirectionDesc,
		"PerPage":   1.0,
	})); ; {
		if !pages.Next() {
			c.must(pages.Err())
			break
		}
		titles = append(titles, pages.Current().Title)
	}
	c.equal("titles", titles, []string{"uno", "due"})

	_, err = c.Delete(c.ctx, one.ID, with[kv.NamespaceDeleteParams](nil))
	c.must(err)
	_, err = c.Get(c.ctx, one.ID, with[kv.NamespaceGetParams](nil))
	c.refused("deleted", err, http.StatusNotFound, 10013)
}

// put writes a value; f may hold more parameters.
func (c *goSDK) put(key, value string, f fields) error {
	params := with[kv.NamespaceValueUpdateParams](fields{"Value": shared.UnionString(value)})
	fill(reflect.ValueOf(&params).Elem(), f)
	_, err := c.Values.Update(c.ctx, c.id, key, params)
	return err
}

// get reads a value and the second that it expires in, empty if it does not.
func (c *goSDK) get(key string) (value, expiration string, err error) {
	resp, err := c.Values.Get(c.ctx, c.id, key, with[kv.NamespaceValueGetParams](nil))
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), resp.Header.Get("expiration"), err
}

func (c *goSDK) values() {
	// This SDK puts the key into the path as it is.
	for _, key := range []string{"plain", "a/b", "a//b", "日本語", "with space", ".hidden", "a%2Fb"} {
		c.must(c.put(key, "value of "+key, nil))
		got, _, err := c.get(key)
		c.must(err)
		c.equal(key, got, "value of "+key)
	}
	escaped, _, err := c.get("a%2Fb")
	c.must(err)
	c.equal("an escaped slash is a slash", escaped, "value of a%2Fb")

	for _, value := range []string{"", "\x00\xff\r\n--boundary\r\n", strings.Repeat("0123456789", 1<<20)} {
		c.must(c.put("value", value, nil))
		got, _, err := c.get("value")
		c.must(err)
		c.equal("equal values", got == value, true)
	}

	at := time.Now().Unix() + 1000
	c.must(c.put("expiring", "v", fields{"Expiration": float64(at)}))
	_, expiration, err := c.get("expiring")
	c.must(err)
	c.equal("expiration", expiration, fmt.Sprint(at))
	c.must(c.put("expiring", "v", fields{"Expiration": float64(at), "ExpirationTTL": 5000.0}))
	_, expiration, err = c.get("expiring")
	c.must(err)
	c.equal("the TTL wins", expiration > fmt.Sprint(at), true)
	c.must(c.put("expiring", "v", nil))
	_, expiration, err = c.get("expiring")
	c.must(err)
	c.equal("cleared", expiration, "")

	_, err = c.Values.Delete(c.ctx, c.id, "a//b", with[kv.NamespaceValueDeleteParams](nil))
	c.must(err)
	_, _, err = c.get("a//b")
	c.refused("deleted", err, http.StatusNotFound, 10009)
	_, err = c.Values.Delete(c.ctx, c.id, "a//b", with[kv.NamespaceValueDeleteParams](nil))
	c.must(err)
}

func (c *goSDK) metadata() {
	read := func(key string) any {
		got, err := c.Metadata.Get(c.ctx, c.id, key, with[kv.NamespaceMetadataGetParams](nil))
		c.must(err)
		return *got
	}
	object := map[string]any{
		"text":   "é 😀",
		"number": 1.5,
		"yes":    true,
		"deep":   map[string]any{"er": map[string]any{"x": "y"}},
		"list":   []any{"1st", "2nd", map[string]any{"k": "v"}},
	}
	c.must(c.put("object", "v", fields{"Metadata": object}))
	c.equal("an object, which the SDK takes apart", read("object"), object)
	c.must(c.put("json", "v", fields{"Metadata": `{"a":[1,null,"b"]}`}))
	c.equal("JSON", read("json"), map[string]any{"a": []any{1.0, nil, "b"}})
}

func (c *goSDK) list() {
	var want []string
	for i := range 25 {
		key := fmt.Sprintf("list/%02d", i)
		want = append(want, key)
		c.must(c.put(key, "v", nil))
	}
	for _, limit := range []float64{10, 25, 100} {
		var got []string
		pages := c.Keys.ListAutoPaging(c.ctx, c.id, with[kv.NamespaceKeyListParams](fields{"Prefix": "list/", "Limit": limit}))
		for pages.Next() {
			got = append(got, pages.Current().Name)
		}
		c.must(pages.Err())
		c.equal(fmt.Sprintf("pages of %.0f", limit), got, want)
	}
	page, err := c.Keys.List(c.ctx, c.id, with[kv.NamespaceKeyListParams](fields{"Prefix": "no such prefix"}))
	c.must(err)
	c.equal("nothing", len(page.Result), 0)
}

// bulkCalls are the two families of bulk calls, which differ in their types only.
type bulkCalls struct {
	json   any // the type of values that are to be parsed
	update func() (float64, error)
	get    func(keys []string, f fields) (rawJSON string, err error)
	remove func(keys []string) (float64, error)
}

func (c *goSDK) bulkCheck(prefix string, calls bulkCalls) {
	n, err := calls.update()
	c.must(err)
	c.equal("written", n, 3.0)
	got, _, err := c.get(prefix + "b")
	c.must(err)
	c.equal("base64", got, "\x00\xff")

	// What the SDK makes of the values depends on which of its types fits first.
	keys := []string{prefix + "a", prefix + "c"}
	text, err := calls.get(keys, nil)
	c.must(err)
	c.equal("values", text, fmt.Sprintf(`{"values":{%q:"1",%q:"3"}}`, keys[0], keys[1]))
	parsed, err := calls.get(keys[1:], fields{"Type": calls.json})
	c.must(err)
	c.equal("values as JSON", parsed, fmt.Sprintf(`{"values":{%q:3}}`, keys[1]))
	both, err := calls.get(keys, fields{"WithMetadata": true})
	c.must(err)
	for _, part := range []string{`"metadata":{"m":"é"}`, `"metadata":null`, `"value":"1"`, `"expiration":`} {
		c.equal(part+" in "+both, strings.Contains(both, part), true)
	}

	n, err = calls.remove([]string{prefix + "a", prefix + "b", prefix + "absent"})
	c.must(err)
	c.equal("deleted", n, 3.0)
	_, _, err = c.get(prefix + "a")
	c.refused("deleted", err, http.StatusNotFound, 10009)
}

func pairs[P any](prefix string) []P {
	list := make([]P, 3)
	for i, pair := range []fields{
		{"Key": prefix + "a", "Value": "1", "Metadata": map[string]any{"m": "é"}, "ExpirationTTL": 600.5},
		{"Key": prefix + "b", "Value": "AP8=", "Base64": true},
		{"Key": prefix + "c", "Value": "3", "Expiration": float64(time.Now().Unix()) + 1000},
	} {
		fill(reflect.ValueOf(&list[i]).Elem(), pair)
	}
	return list
}

func (c *goSDK) bulk() {
	c.bulkCheck("bulk/", bulkCalls{
		json: kv.NamespaceBulkGetParamsTypeJson,
		update: func() (float64, error) {
			body := pairs[kv.NamespaceBulkUpdateParamsBody]("bulk/")
			res, err := c.BulkUpdate(c.ctx, c.id, with[kv.NamespaceBulkUpdateParams](fields{"Body": body}))
			if err != nil {
				return 0, err
			}
			return res.SuccessfulKeyCount, nil
		},
		get: func(keys []string, f fields) (string, error) {
			params := with[kv.NamespaceBulkGetParams](fields{"Keys": keys})
			fill(reflect.ValueOf(&params).Elem(), f)
			res, err := c.BulkGet(c.ctx, c.id, params)
			if err != nil {
				return "", err
			}
			return res.JSON.RawJSON(), nil
		},
		remove: func(keys []string) (float64, error) {
			res, err := c.BulkDelete(c.ctx, c.id, with[kv.NamespaceBulkDeleteParams](fields{"Body": keys}))
			if err != nil {
				return 0, err
			}
			return res.SuccessfulKeyCount, nil
		},
	})
}

func (c *goSDK) bulkAmongKeys() {
	c.bulkCheck("keys/", bulkCalls{
		json: kv.NamespaceKeyBulkGetParamsTypeJson,
		update: func() (float64, error) {
			body := pairs[kv.NamespaceKeyBulkUpdateParamsBody]("keys/")
			//lint:ignore SA1019 programs still call it
			res, err := c.Keys.BulkUpdate(c.ctx, c.id, with[kv.NamespaceKeyBulkUpdateParams](fields{"Body": body}))
			if err != nil {
				return 0, err
			}
			return res.SuccessfulKeyCount, nil
		},
		get: func(keys []string, f fields) (string, error) {
			params := with[kv.NamespaceKeyBulkGetParams](fields{"Keys": keys})
			fill(reflect.ValueOf(&params).Elem(), f)
			//lint:ignore SA1019 programs still call it
			res, err := c.Keys.BulkGet(c.ctx, c.id, params)
			if err != nil {
				return "", err
			}
			return res.JSON.RawJSON(), nil
		},
		remove: func(keys []string) (float64, error) {
			//lint:ignore SA1019 programs still call it
			res, err := c.Keys.BulkDelete(c.ctx, c.id, with[kv.NamespaceKeyBulkDeleteParams](fields{"Body": keys}))
			if err != nil {
				return 0, err
			}
			return res.SuccessfulKeyCount, nil
		},
	})
}
