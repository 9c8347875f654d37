package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/runtime/disk"
	"triality/runtime/hub"
	"triality/server/fleet"
	"triality/server/objects"
	"triality/server/store"
	"triality/server/transfer"
)

// workersFlags are the flags of serve that concern other machines.
type workersFlags struct {
	address, cert, key, ca, tokenFile *string
	bucket, region                    *string
	lease                             *time.Duration
	replicas                          *int
	only                              *bool
}

func serveWorkersFlags(fs *flag.FlagSet) workersFlags {
	return workersFlags{
		address:   fs.String("workers", "", "`address` at which workers on other machines join: HOST:PORT to listen on, or nats://… or tls://… of NATS servers with JetStream that are there"),
		cert:      fs.String("workers-cert", "", "certificate `file` of that address (default: one that the server makes itself, which tokens vouch for)"),
		key:       fs.String("workers-key", "", "private key `file` of --workers-cert"),
		ca:        fs.String("workers-ca", "", "`file` of the authorities that the NATS servers' certificates are held to (default: the system's)"),
		tokenFile: fs.String("workers-token-file", "", "`file` with the NATS token, user and password (two lines, user: and password:), or credentials by which this server connects to NATS servers that are there"),
		bucket:    fs.String("workers-bucket", "", "`URL` of an S3-compatible bucket, https://HOST/BUCKET or https://HOST/BUCKET/FOLDER, through which files of 8 MiB and more go to workers and back; keys as for the AWS tools"),
		region:    fs.String("workers-bucket-region", "", "`region` of that bucket (default: asked for)"),
		lease:     fs.Duration("workers-lease", fleet.DefaultLease, "how long a worker goes on without hearing of the server, 2s to 1h; its jobs are given away after 1.5 times that"),
		replicas:  fs.Int("workers-replicas", 0, "`servers` of NATS servers that are there that keep what workers are to run, 1 to 5; 0: 3 where there are as many, else 1"),
		only:      fs.Bool("workers-only", false, "run no job on this machine"),
	}
}

// open starts what answers workers, where they are asked for; nil where not.
func (f workersFlags) open(ctx context.Context, st *store.Store, root string, log *slog.Logger) (*fleet.Server, error) {
	outside := strings.Contains(*f.address, "://")
	switch {
	case *f.address == "":
		for name, value := range map[string]string{"workers-cert": *f.cert, "workers-key": *f.key, "workers-ca": *f.ca, "workers-token-file": *f.tokenFile, "workers-bucket": *f.bucket} {
			if value != "" {
				return nil, usagef("--%s is of --workers, which is missing", name)
			}
		}
		if *f.replicas != 0 {
			return nil, usagef("--workers-replicas is of --workers, which is missing")
		}
		if *f.only {
			return nil, usagef("--workers-only: without --workers nothing would run; give its address")
		}
		return nil, nil
	case (*f.cert == "") != (*f.key == ""):
		return nil, usagef("--workers-cert and --workers-key go together")
	case outside && *f.cert != "":
		return nil, usagef("--workers-cert is of an address to listen on; %s is another's", *f.address)
	case !outside && (*f.ca != "" || *f.tokenFile != ""):
		return nil, usagef("--workers-ca and --workers-token-file are of NATS servers that are there; --workers %s is this server's own", *f.address)
	case !outside && *f.replicas != 0:
		return nil, usagef("--workers-replicas is of NATS servers that are there; --workers %s is this server's own", *f.address)
	case *f.replicas < 0 || *f.replicas > 5:
		return nil, usagef("--workers-replicas is %d, must lie between 1 and 5, or be 0", *f.replicas)
	case *f.lease < 2*time.Second || *f.lease > time.Hour:
		return nil, usagef("--workers-lease is %v, must lie between 2s and 1h", *f.lease)
	}
	data := st.Dir()
	var bucket *objects.Bucket
	if *f.bucket != "" {
		var err error
		if bucket, err = objects.OpenBucket(ctx, *f.bucket, *f.region); err != nil {
			return nil, fmt.Errorf("--workers-bucket: %w", err)
		}
	}
	files, err := transfer.NewServer(transfer.ServerOptions{Dir: data, Bucket: bucket, Allowed: allowedBelow(root), Logger: log})
	if err != nil {
		return nil, err
	}
	if _, err := files.Collect(ctx, func(run string) bool {
		r, err := st.Run(ctx, run)
		return experiments.CodeOf(err) != experiments.CodeNotFound && r.Status != experiments.Finished
	}); err != nil {
		return nil, err
	}
	o := fleet.Options{Data: data, Files: files, Address: *f.address, Version: Version, Engine: pipeline.EngineVersion, Lease: *f.lease, Replicas: *f.replicas, Logger: log}
	if *f.cert != "" {
		cert, err := tls.LoadX509KeyPair(*f.cert, *f.key)
		if err != nil {
			return nil, experiments.Errorf(experiments.CodeInvalid, "--workers-cert %s: %w", *f.cert, err)
		}
		o.Certificate = &cert
	}
	if *f.ca != "" {
		if _, err := os.Stat(*f.ca); err != nil {
			return nil, experiments.Errorf(experiments.CodeInvalid, "--workers-ca: %w", err)
		}
		o.NATS = append(o.NATS, nats.RootCAs(*f.ca))
	}
	if *f.tokenFile != "" {
		text, err := disk.ReadRegular(*f.tokenFile, 64<<10)
		if err != nil {
			return nil, fmt.Errorf("--workers-token-file: %w", err)
		}
		o.NATS = append(o.NATS, fleet.Login(string(text))...)
	}
	return fleet.Open(ctx, o)
}

// allowedBelow is what a data root lets other machines' jobs read and write here, beside the Hub's cache; nil: anything.
func allowedBelow(root string) func(path string) error {
	if root == "" {
		return nil
	}
	return func(path string) error {
		real, err := disk.Real(path)
		if err != nil {
			return err
		}
		if disk.Below(real, root) {
			return nil
		}
		if cache, err := hub.FromEnv(os.Getenv); err == nil {
			if dir, err := disk.Real(cache.CacheDir); err == nil && disk.Below(real, dir) {
				return nil
			}
		}
		return experiments.Errorf(experiments.CodeInvalid, "%s lies outside %s, to which this server keeps", path, root)
	}
}
