// The hello server of Go's net/http. Prints where it listens, and ends with its input.
//
// Place: built and started by `src/http/peers.rs`, pinned to one core: the scheduler of Go then has
// one processor.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	hello := []byte("hello, world\n")
	server := http.Server{
		// As hyper's.
		ReadHeaderTimeout: 30 * time.Second,
		Handler: http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
			// Said here, it is not guessed from the body.
			response.Header().Set("Content-Type", "text/plain")
			response.Write(hello)
		}),
	}
	log.Fatal(server.Serve(listener))
}
