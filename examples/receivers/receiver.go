// Receive the billing service's notifications: verify, store, answer, then apply in order.
//
//	EVENT_SERVICE_SECRET=whsec_… go run receiver.go     (PORT 5000, JOURNAL notifications.jsonl)
//
// Needs Go 1.19 and no module. The journal stands for a table of your database, keyed by the id.
// docs/receiver.md explains each step.
package main

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	path = "/api/billing/notifications"
	// Seconds: an older signature, or one further in the future, is refused (Standard Webhooks).
	tolerance = 300 * time.Second
	// The longest notification has about 20 kB, mostly 50 metadata values.
	mostBodyBytes = 1 << 20
)

// Types about the same object, which are applied in order; all other types are independent.
var objects = map[string][]string{
	"payment.settled":          {"charge_id"},
	"payment.fraud_warning":    {"fraud_warning_id"},
	"payment.review_opened":    {"review_id"},
	"payment.review_closed":    {"review_id"},
	"dispute.funds_withdrawn":  {"dispute_id"},
	"dispute.funds_reinstated": {"dispute_id"},
	"payment":                  {"payment_intent_id", "charge_id"},
	"refund":                   {"refund_id", "refund_request_id"},
	"dispute":                  {"dispute_id"},
	"checkout":                 {"checkout_session_id"},
	"refund_batch":             {"refund_batch_id"},
}

// States besides that of the object: money that moved, and the fee.
var books = map[string]string{
	"payment.settled":          "fee",
	"dispute.funds_withdrawn":  "funds",
	"dispute.funds_reinstated": "funds",
}

// A state is never replaced by one with a lower number, whatever the times; 0 for all other types.
var ends = map[string]int{
	"payment.canceled":           1,
	"payment.succeeded":          2,
	"payment.review_closed":      1,
	"refund.succeeded":           1,
	"refund.failed":              2,
	"refund.canceled":            2,
	"checkout.payment_succeeded": 1,
	"checkout.payment_failed":    1,
}

// In one second, where Stripe's times are equal, the type that is later in this list counts.
var course = []string{
	"payment.requires_action",
	"payment.processing",
	"payment.authorized",
	"payment.partially_captured",
	"payment.failed",
	"dispute.opened",
	"dispute.updated",
	"dispute.won",
	"dispute.lost",
	"dispute.closed",
	"dispute.funds_withdrawn",
	"dispute.funds_reinstated",
}

var (
	errHeaders   = errors.New("the headers webhook-id, -timestamp and -signature are needed")
	errTimestamp = errors.New("webhook-timestamp is too far from our clock")
	errSignature = errors.New("no signature matches")
)

type notification struct {
	ID        string         `json:"id"`
	Type      string         `json:"type"`
	Timestamp string         `json:"timestamp"`
	Sequence  int64          `json:"sequence"`
	Data      map[string]any `json:"data"`
}

type place struct {
	End       int    `json:"end"`
	Timestamp string `json:"timestamp"`
	Course    int    `json:"course"`
	Sequence  int64  `json:"sequence"`
}

func placeOf(one notification) place {
	at := place{ends[one.Type], one.Timestamp, -1, one.Sequence}
	for index, name := range course {
		if name == one.Type {
			at.Course = index
		}
	}
	return at
}

func (p place) isLater(other place) bool {
	switch {
	case p.End != other.End:
		return p.End > other.End
	case p.Timestamp != other.Timestamp:
		return p.Timestamp > other.Timestamp
	case p.Course != other.Course:
		return p.Course > other.Course
	}
	return p.Sequence > other.Sequence
}

type standing struct {
	Type   string `json:"type"`
	Status any    `json:"status"`
	Place  place  `json:"place"`
}

// verify returns the id of a notification with a valid signature.
func verify(headers http.Header, body []byte, secrets [][]byte, now time.Time) (string, error) {
	id, sentAt := headers.Get("webhook-id"), headers.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(sentAt, 10, 64)
	if id == "" || err != nil || headers.Get("webhook-signature") == "" {
		return "", errHeaders
	}
	if distance := now.Sub(time.Unix(seconds, 0)); distance > tolerance || distance < -tolerance {
		return "", errTimestamp
	}
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "%s.%s.", id, sentAt)
		mac.Write(body)
		expected := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		for _, one := range strings.Fields(headers.Get("webhook-signature")) {
			if hmac.Equal(expected, []byte(one)) {
				return id, nil
			}
		}
	}
	return "", errSignature
}

// inbox has the received notifications, each id once, and the states that follow from them.
type inbox struct {
	sync.Mutex
	received map[string]bool
	state    map[string]standing
	file     *os.File
}

func openInbox(journal string) (*inbox, error) {
	kept := &inbox{received: map[string]bool{}, state: map[string]standing{}}
	text, err := os.ReadFile(journal)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1] // a crash may have cut the last line
	if err := os.WriteFile(journal, whole, 0o600); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(whole))
	lines.Buffer(nil, 2*mostBodyBytes)
	for lines.Scan() {
		var one notification
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, err
		}
		kept.take(one)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	kept.file, err = os.OpenFile(journal, os.O_APPEND|os.O_WRONLY, 0o600)
	return kept, err
}

// add stores a notification on disk and applies it, unless it was stored before.
func (kept *inbox) add(one notification, body []byte) error {
	kept.Lock()
	defer kept.Unlock()
	if kept.received[one.ID] {
		return nil
	}
	var line bytes.Buffer
	if err := json.Compact(&line, body); err != nil {
		return err
	}
	line.WriteByte('\n')
	if _, err := kept.file.Write(line.Bytes()); err != nil {
		return err
	}
	if err := kept.file.Sync(); err != nil {
		return err
	}
	kept.take(one)
	return nil
}

func (kept *inbox) take(one notification) {
	kept.received[one.ID] = true
	apply(kept.state, one)
}

// apply sets the state of the notification's object, unless a later notification has set it.
func apply(state map[string]standing, one notification) {
	fields, known := objects[one.Type]
	if !known {
		fields = objects[strings.SplitN(one.Type, ".", 2)[0]]
	}
	subject := ""
	for _, name := range fields {
		if text, isText := one.Data[name].(string); isText && subject == "" {
			subject = text
		}
	}
	if subject == "" {
		return // test.notification, or a type that is newer than this program
	}
	key := subject
	if book, isBook := books[one.Type]; isBook {
		key = book + ":" + subject
	}
	at := placeOf(one)
	if last, known := state[key]; !known || at.isLater(last.Place) {
		state[key] = standing{Type: one.Type, Status: one.Data["status"], Place: at}
	}
}

// keys decodes `whsec_<base64>` secrets, separated by commas: two while one is being replaced.
func keys(text string) ([][]byte, error) {
	var found [][]byte
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(part, "whsec_"))
		if err != nil {
			return nil, err
		}
		found = append(found, key)
	}
	if len(found) == 0 {
		return nil, errors.New("it has no secret")
	}
	return found, nil
}

type server struct {
	inbox   *inbox
	secrets [][]byte
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet { // the state is for you, not for the billing service
		s.inbox.Lock()
		defer s.inbox.Unlock()
		answer(w, http.StatusOK, s.inbox.state)
		return
	}
	status, err := s.receive(w, r)
	if err != nil {
		answer(w, status, map[string]string{"error": err.Error()})
		return
	}
	answer(w, http.StatusOK, map[string]bool{"received": true})
}

func (s *server) receive(w http.ResponseWriter, r *http.Request) (int, error) {
	if r.URL.Path != path {
		return http.StatusNotFound, errors.New("no notification")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBodyBytes))
	if err != nil {
		return http.StatusRequestEntityTooLarge, err
	}
	id, err := verify(r.Header, body, s.secrets, time.Now())
	if err != nil {
		return http.StatusUnauthorized, err
	}
	var one notification
	if err := json.Unmarshal(body, &one); err != nil {
		return http.StatusBadRequest, errors.New("the body is no notification")
	}
	if one.ID != id {
		return http.StatusBadRequest, errors.New("webhook-id is not the id in the body")
	}
	return http.StatusInternalServerError, s.inbox.add(one, body)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Print(err)
	}
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	secrets, err := keys(os.Getenv("EVENT_SERVICE_SECRET"))
	if err != nil {
		log.Fatal("Set EVENT_SERVICE_SECRET to the secret of the billing service: whsec_<base64>: ", err)
	}
	kept, err := openInbox(setting("JOURNAL", "notifications.jsonl"))
	if err != nil {
		log.Fatal(err)
	}
	listening, err := net.Listen("tcp", "127.0.0.1:"+setting("PORT", "5000"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", listening.Addr())
	log.Fatal(http.Serve(listening, &server{inbox: kept, secrets: secrets}))
}
