//! An NVIDIA GPU, through the driver, sharing context, stream and memory with dfdx's device.
//!
//! Nothing here depends on where dfdx keeps the values of a tensor: activations and parameters are in storage that the
//! engine owns (`session.rs`), and cudarc gives its address.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cudarc::driver::{CudaDevice, CudaSlice, DevicePtr, DeviceSlice, DriverError, result, sys};
use dfdx::prelude::{Cuda, CudaError, Storage};

use super::arguments::Address;
use super::gpu::{Gpu, Slot};
use super::kernel::{Kernel, NAMES};
use super::launch::{Launch, Recording};
use crate::engine::device::Card;
use crate::recipe::Precision;

/// `off` launches every step kernel by kernel, with the same results.
const SWITCH: &str = "REFIG_CUDA_GRAPHS";

type Floats = <Cuda as Storage<f32>>::Vec;

/// nvcc's output for `kernels/`, aligned for the driver; empty in a build without nvcc.
#[repr(align(64))]
struct Aligned<B: ?Sized>(B);
static KERNELS: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/kernels.fatbin")));

/// A GPU with its kernels loaded. It computes in fp32 unless told otherwise.
pub struct Nvidia {
    dfdx: Cuda,
    device: Arc<CudaDevice>,
    precision: Precision,
    functions: BTreeMap<&'static str, sys::CUfunction>,
    scratch: Mutex<BTreeMap<Slot, CudaSlice<u8>>>,
    /// How often a slot was reallocated to grow.
    reallocations: AtomicUsize,
    /// Since `begin_recording`.
    recording: Mutex<Option<Recording>>,
}

/// Recorded launches as a graph of the driver.
pub struct Graph {
    graph: sys::CUgraph,
    executable: sys::CUgraphExec,
    /// `Nvidia::reallocations` when it was recorded.
    reallocations: usize,
    device: Arc<CudaDevice>,
}

impl Drop for Graph {
    fn drop(&mut self) {
        // Work in flight continues; the driver frees the graph after it.
        if self.device.bind_to_thread().is_ok() {
            // SAFETY: self owns both, and they are not used again. If freeing fails they leak.
            unsafe {
                sys::cuGraphExecDestroy(self.executable).result().ok();
                sys::cuGraphDestroy(self.graph).result().ok();
            }
        }
    }
}

/// The GPUs that the driver lists.
pub fn cards() -> Result<Vec<Card>, String> {
    let said = |error: DriverError| format!("the driver says: {}", message(error));
    result::init().map_err(said)?;
    let count = result::device::get_count().map_err(said)?;
    (0..count.max(0))
        .map(|number| card(number).map_err(said))
        .collect()
}

fn card(number: i32) -> Result<Card, DriverError> {
    use sys::CUdevice_attribute_enum as Attribute;
    let device = result::device::get(number)?;
    let mut name = [0; 128];
    // SAFETY: the driver writes at most the array's length, zero-terminated; the device handle is the driver's.
    let (name, memory, major, minor) = unsafe {
        sys::cuDeviceGetName(name.as_mut_ptr(), name.len() as i32, device).result()?;
        (
            CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned(),
            result::device::total_mem(device)?,
            result::device::get_attribute(
                device,
                Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            )?,
            result::device::get_attribute(
                device,
                Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )?,
        )
    };
    Ok(Card {
        number: number as usize,
        name,
        memory: memory as u64,
        capability: (major as u32, minor as u32),
    })
}

/// The driver's message for an error, such as `no CUDA-capable device is detected (CUDA_ERROR_NO_DEVICE)`.
fn message(error: DriverError) -> String {
    let mut text = std::ptr::null();
    // SAFETY: the driver returns a static string or leaves the pointer null.
    let described = unsafe {
        let code = sys::cuGetErrorString(error.0, &mut text);
        match code.result().is_ok() && !text.is_null() {
            true => CStr::from_ptr(text).to_string_lossy().into_owned() + " ",
            false => String::new(),
        }
    };
    format!("{described}({:?})", error.0)
}

impl Nvidia {
    /// Loads the kernels onto dfdx's device.
    pub fn new(dfdx: &Cuda) -> Result<Self, String> {
        if KERNELS.0.is_empty() {
            return Err(
                "this program was built without nvcc and has no kernels; install nvcc and rebuild"
                    .into(),
            );
        }
        // dfdx does not expose its device, but any storage does.
        let storage = Storage::<f32>::try_alloc_len(dfdx, 1).map_err(|error| error.to_string())?;
        let device = storage.device();
        let said = |error: DriverError| format!("loading the kernels: {}", message(error));
        device.bind_to_thread().map_err(said)?;
        let mut functions = BTreeMap::new();
        // SAFETY: the image is nvcc's, complete and aligned; it stays loaded as long as the context.
        unsafe {
            let module = result::module::load_data(KERNELS.0.as_ptr().cast()).map_err(said)?;
            for &name in NAMES {
                let symbol = CString::new(name).map_err(|error| error.to_string())?;
                let function = result::module::get_function(module, symbol).map_err(said)?;
                functions.insert(name, function);
            }
        }
        Ok(Self {
            dfdx: dfdx.clone(),
            device,
            precision: Precision::Fp32,
            functions,
            scratch: Mutex::default(),
            reallocations: AtomicUsize::new(0),
            recording: Mutex::default(),
        })
    }

    /// Switches to another precision.
    pub fn compute_in(&mut self, precision: Precision) {
        self.precision = precision;
    }

    fn slot(&self, slot: Slot, bytes: usize) -> Result<Address, DriverError> {
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |memory: &&CudaSlice<u8>| memory.len() >= bytes;
        if let Some(memory) = scratch.get(&slot).filter(fits) {
            return Ok(*memory.device_ptr());
        }
        let memory = self.device.alloc_zeros::<u8>(bytes.max(1))?;
        let address = *memory.device_ptr();
        // The old memory is freed after the work that uses it.
        if scratch.insert(slot, memory).is_some() {
            self.reallocations.fetch_add(1, Ordering::Relaxed);
        }
        Ok(address)
    }

    fn recording(&self) -> MutexGuard<'_, Option<Recording>> {
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds a graph of launches: a line of launches each after the one before it, and one beside it of those aside.
    fn graph(&self, launches: &[Launch], reallocations: usize) -> Result<Graph, DriverError> {
        self.device.bind_to_thread()?;
        let mut made = Graph {
            graph: std::ptr::null_mut(),
            executable: std::ptr::null_mut(),
            reallocations,
            device: self.device.clone(),
        };
        let (mut main, mut aside): (Option<sys::CUgraphNode>, Option<_>) = (None, None);
        // SAFETY: the driver writes the handles and copies the arguments, which are those of the original launches; a node
        // depends on nodes of this graph.
        unsafe {
            sys::cuGraphCreate(&mut made.graph, 0).result()?;
            for launch in launches {
                let before: Vec<sys::CUgraphNode> = match launch {
                    Launch { joins: true, .. } => main.into_iter().chain(aside.take()).collect(),
                    Launch { aside: true, .. } => aside.or(main).into_iter().collect(),
                    _ => main.into_iter().collect(),
                };
                let mut parameters = [launch.arguments().cast_mut().cast::<c_void>()];
                let [x, y, z] = launch.grid;
                let node = sys::CUDA_KERNEL_NODE_PARAMS {
                    func: self.functions[launch.kernel],
                    gridDimX: x,
                    gridDimY: y,
                    gridDimZ: z,
                    blockDimX: launch.threads,
                    blockDimY: 1,
                    blockDimZ: 1,
                    sharedMemBytes: 0,
                    kernelParams: parameters.as_mut_ptr(),
                    extra: std::ptr::null_mut(),
                };
                let mut added = std::ptr::null_mut();
                let (first, count) = (before.as_ptr(), before.len());
                sys::cuGraphAddKernelNode(&mut added, made.graph, first, count, &node).result()?;
                match launch.aside {
                    true => aside = Some(added),
                    false => main = Some(added),
                }
            }
            sys::cuGraphInstantiateWithFlags(&mut made.executable, made.graph, 0).result()?;
        }
        Ok(made)
    }
}

impl Gpu for Nvidia {
    type Error = DriverError;
    type Numbers = Floats;
    type Bytes = CudaSlice<u8>;
    type Graph = Graph;

    fn precision(&self) -> Precision {
        self.precision
    }

    fn address(&self, numbers: &Floats) -> Address {
        *numbers.device_ptr()
    }

    fn len(&self, numbers: &Floats) -> usize {
        numbers.len()
    }

    fn upload(&self, values: &[f32]) -> Result<Floats, DriverError> {
        let mut numbers = match Storage::<f32>::try_alloc_len(&self.dfdx, values.len()) {
            Ok(numbers) => numbers,
            Err(CudaError::Driver(error)) => return Err(error),
            // Allocation fails with driver errors only.
            Err(_) => return Err(DriverError(sys::CUresult::CUDA_ERROR_UNKNOWN)),
        };
        self.device.htod_sync_copy_into(values, &mut numbers)?;
        Ok(numbers)
    }

    fn download(&self, numbers: &Floats) -> Result<Vec<f32>, DriverError> {
        let mut values = vec![0.0; numbers.len()];
        self.device.dtoh_sync_copy_into(numbers, &mut values)?;
        Ok(values)
    }

    fn keep(&self, bytes: &[u8]) -> Result<CudaSlice<u8>, DriverError> {
        self.device.htod_sync_copy(bytes)
    }

    fn bytes_address(&self, bytes: &CudaSlice<u8>) -> Address {
        *bytes.device_ptr()
    }

    fn scratch(&self, slot: Slot, bytes: usize) -> Result<Address, DriverError> {
        self.slot(slot, bytes)
    }

    fn send<T: Copy>(&self, slot: Slot, values: &[T]) -> Result<Address, DriverError> {
        let address = self.slot(slot, size_of_val(values))?;
        self.device.bind_to_thread()?;
        // SAFETY: the slot has room; the driver has copied pageable memory by the time this returns.
        unsafe { result::memcpy_htod_async(address, values, *self.device.cu_stream())? };
        Ok(address)
    }

    fn receive(&self, slot: Slot, bytes: &mut [u8]) -> Result<(), DriverError> {
        let address = self.slot(slot, bytes.len())?;
        self.device.bind_to_thread()?;
        // SAFETY: the slot has as many bytes, and the copy is waited for below.
        unsafe { result::memcpy_dtoh_async(bytes, address, *self.device.cu_stream())? };
        self.device.synchronize()
    }

    fn begin_recording(&self) -> bool {
        let on = std::env::var_os(SWITCH).is_none_or(|value| value != "off");
        let reallocations = self.reallocations.load(Ordering::Relaxed);
        *self.recording() = on.then(|| Recording::new(reallocations));
        on
    }

    fn end_recording(&self) -> Result<Option<Graph>, DriverError> {
        let now = self.reallocations.load(Ordering::Relaxed);
        match self.recording().take() {
            Some(recording) if recording.reallocations == now => {
                self.graph(&recording.into_launches(), now).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn set_aside(&self, aside: bool) {
        if let Some(recording) = &mut *self.recording() {
            recording.set_aside(aside);
        }
    }

    fn join(&self) {
        if let Some(recording) = &mut *self.recording() {
            recording.join();
        }
    }

    unsafe fn launch_graph(&self, graph: &Graph) -> Result<bool, DriverError> {
        if graph.reallocations != self.reallocations.load(Ordering::Relaxed) {
            return Ok(false);
        }
        self.device.bind_to_thread()?;
        // SAFETY: a complete graph of this device; the caller promises that its addresses are valid.
        unsafe { sys::cuGraphLaunch(graph.executable, *self.device.cu_stream()).result()? };
        Ok(true)
    }

    unsafe fn launch<A: Copy>(
        &self,
        kernel: Kernel<A>,
        grid: [usize; 3],
        arguments: &A,
    ) -> Result<(), DriverError> {
        self.device.bind_to_thread()?;
        let [x, y, z] = grid.map(|side| side as u32);
        let mut parameters = [std::ptr::from_ref(arguments).cast_mut().cast::<c_void>()];
        if let Some(recording) = &mut *self.recording() {
            recording.push(Launch::new(kernel, grid, arguments));
        }
        // SAFETY: the function belongs to this device and takes one argument of this type, which the driver copies now; the
        // caller promises that its addresses are valid.
        unsafe {
            result::launch_kernel(
                self.functions[kernel.name],
                (x, y, z),
                (kernel.threads, 1, 1),
                0,
                *self.device.cu_stream(),
                &mut parameters,
            )
        }
    }
}
