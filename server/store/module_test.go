package store

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"triality/experiments"
)

func module(name, bytes string) (experiments.Module, []byte) {
	sum := sha256.Sum256([]byte(bytes))
	m := experiments.Module{Name: name, Version: "1", SHA256: hex.EncodeToString(sum[:]), Checks: []experiments.Check{{Name: "dry run", OK: true}}}
	m.Description.Name = name
	return m, []byte(bytes)
}

func TestModulesAreHiddenAndGoWithTheirLastUser(t *testing.T) {
	s, e := fresh(t, Options{})
	used, usedBytes := module("used", "\x00asm used")
	idle, idleBytes := module("idle", "\x00asm idle")
	for range 2 {
		if m, err := s.AddModule(ctx, idle, idleBytes); err != nil || m.Size != int64(len(idleBytes)) || m.UploadedAt.IsZero() {
			t.Fatalf("%+v, error %v", m, err)
		}
	}
	code(t, s.UseModule(ctx, "r", used, nil), experiments.CodeNotFound)
	for range 2 {
		if err := s.UseModule(ctx, "r", used, usedBytes); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.UseModule(ctx, "r", used, nil); err != nil {
		t.Errorf("using a module the store has, without its bytes: %v", err)
	}
	code(t, s.UseModule(ctx, "nope", used, usedBytes), experiments.CodeNotFound)
	list, err := s.Modules(ctx)
	if err != nil || len(list) != 2 || list[0].Name != "idle" || len(list[1].UsedBy) != 1 || list[1].UsedBy[0] != "r" {
		t.Fatalf("list %+v, error %v", list, err)
	}
	for _, m := range list {
		if err := s.HideModule(ctx, m.SHA256); err != nil {
			t.Fatal(err)
		}
		code(t, s.HideModule(ctx, m.SHA256), experiments.CodeNotFound)
	}
	if list, err := s.Modules(ctx); err != nil || len(list) != 0 {
		t.Errorf("hidden modules are listed: %v, error %v", list, err)
	}
	_, _, err = s.Module(ctx, idle.SHA256)
	code(t, err, experiments.CodeNotFound)
	m, got, err := s.Module(ctx, used.SHA256)
	if err != nil || string(got) != string(usedBytes) || m.Checks[0].Name != "dry run" {
		t.Errorf("%+v %q, error %v", m, got, err)
	}
	if _, err := s.AddModule(ctx, used, usedBytes); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Modules(ctx); err != nil || len(list) != 1 || len(list[0].UsedBy) != 1 {
		t.Errorf("a hidden module added again: %v, error %v", list, err)
	}
	if err := s.HideModule(ctx, used.SHA256); err != nil {
		t.Fatal(err)
	}
	sound(t, s)
	save(t, s, experiments.Run{ID: "r", ExperimentID: e, Status: experiments.Finished})
	if err := s.PurgeRun(ctx, "r"); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Module(ctx, used.SHA256)
	code(t, err, experiments.CodeNotFound)
	if n := files(t, s); n != 0 {
		t.Errorf("%d files are left", n)
	}
	sound(t, s)
}

func TestAModuleWhoseHashIsWrongIsRefused(t *testing.T) {
	s, _ := fresh(t, Options{})
	m, _ := module("m", "right")
	_, err := s.AddModule(ctx, m, []byte("wrong"))
	code(t, err, experiments.CodeInvalid, m.SHA256)
	if n := files(t, s); n != 0 {
		t.Errorf("%d files were left", n)
	}
}

func TestModulesOfANameAreListedNewestFirst(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for i, bytes := range []string{"old", "new"} {
		m, b := module("m", bytes)
		m.UploadedAt = time.Unix(int64(i), 0).UTC()
		if _, err := s.AddModule(ctx, m, b); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.Modules(ctx)
	if err != nil || len(list) != 2 || !list[0].UploadedAt.After(list[1].UploadedAt) {
		t.Errorf("list %+v, error %v", list, err)
	}
}
