// Almanac looks up what a system knows: time zones, ports, protocols, types of files; and who a server is
// by its certificate. Each of these is a part of Go's library whose files are somewhere else on each system.
package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"example.org/columns"
)

// version is set by the linker.
var version = "unknown"

const usage = `almanac zone NAME...      what time it is there, and how far from UTC
almanac port NAME...      the port of a service
almanac type EXTENSION... the type of a file
almanac server HOST...    who a server is by its certificate
almanac version
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "almanac:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		_, err := fmt.Print(usage)
		return err
	}
	verb, names := arguments[0], arguments[1:]
	if verb == "version" {
		_, err := fmt.Println("almanac", version)
		return err
	}
	lookups := map[string]func(string) ([]string, error){
		"zone":   zone,
		"port":   port,
		"type":   fileType,
		"server": server,
	}
	lookup, known := lookups[verb]
	if !known {
		return errors.New("no such verb: " + verb)
	}
	var rows [][]string
	for _, name := range names {
		row, err := lookup(name)
		if err != nil {
			return err
		}
		rows = append(rows, append([]string{name}, row...))
	}
	return columns.Write(os.Stdout, rows)
}

func zone(name string) ([]string, error) {
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	now := time.Now().In(location)
	return []string{now.Format(time.DateTime), now.Format("-07:00 MST")}, nil
}

func port(name string) ([]string, error) {
	number, err := net.LookupPort("tcp", name)
	if err != nil {
		return nil, err
	}
	return []string{strconv.Itoa(number)}, nil
}

func fileType(extension string) ([]string, error) {
	if !strings.HasPrefix(extension, ".") {
		extension = "." + extension
	}
	found := mime.TypeByExtension(extension)
	if found == "" {
		return nil, errors.New("no type is known for " + extension)
	}
	return []string{found}, nil
}

func server(name string) ([]string, error) {
	address := name
	if _, _, err := net.SplitHostPort(name); err != nil {
		address = net.JoinHostPort(name, "https")
	}
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: 30 * time.Second},
		Config:    &tls.Config{MinVersion: tls.VersionTLS12},
	}
	connection, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	state := connection.(*tls.Conn).ConnectionState()
	subject := state.PeerCertificates[0]
	return []string{subject.Subject.CommonName, subject.NotAfter.Format(time.DateOnly), tls.VersionName(state.Version)}, nil
}
