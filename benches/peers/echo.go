// The echo server on Go's net package: a goroutine and a buffer for each connection. TCP_NODELAY is
// Go's default.
//
//	echo BUFFER_BYTES PROCESSORS KERNEL_BUFFER_BYTES
//
// It speaks the child's side of src/child.rs: the first line is its address; each line that comes
// in asks for the processor time so far, in nanoseconds; the end of input ends it.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "echo.go:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 3 {
		return fmt.Errorf("needs BUFFER_BYTES, PROCESSORS and KERNEL_BUFFER_BYTES, not %q", arguments)
	}
	bufferBytes, err := strconv.Atoi(arguments[0])
	if err != nil {
		return err
	}
	processors, err := strconv.Atoi(arguments[1])
	if err != nil {
		return err
	}
	kernelBufferBytes, err := strconv.Atoi(arguments[2])
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(processors)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go answer()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		if err := fixKernelBuffers(conn.(*net.TCPConn), kernelBufferBytes); err != nil {
			return err
		}
		go echo(conn, bufferBytes)
	}
}

func fixKernelBuffers(conn *net.TCPConn, bytes int) error {
	if err := conn.SetReadBuffer(bytes); err != nil {
		return err
	}
	return conn.SetWriteBuffer(bytes)
}

// A connection that breaks ends alone: the load generator reports it.
func echo(conn net.Conn, bufferBytes int) {
	defer conn.Close()
	buffer := make([]byte, bufferBytes)
	for {
		count, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:count]); err != nil {
			return
		}
	}
}

func answer() {
	for questions := bufio.NewScanner(os.Stdin); questions.Scan(); {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			fmt.Fprintln(os.Stderr, "echo.go:", err)
			os.Exit(1)
		}
		fmt.Println(usage.Utime.Nano() + usage.Stime.Nano())
	}
	os.Exit(0)
}
