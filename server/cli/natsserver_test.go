package cli

import (
	"os"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"
)

// natsCommand is a NATS server alone, as a child process of tests: ADDRESS PORT FOLDER TOKEN.
func natsCommand() {
	port, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	s, err := server.NewServer(&server.Options{Host: os.Args[1], Port: port, JetStream: true, StoreDir: os.Args[3], Authorization: os.Args[4], SyncAlways: true})
	if err != nil {
		panic(err)
	}
	s.Start()
	s.WaitForShutdown()
}
